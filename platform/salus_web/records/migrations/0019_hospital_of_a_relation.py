"""A care relation names the hospital of its patient, so that both walls can ask who is clinician there."""

import django.db.models.deletion
from django.db import migrations, models

from salus_web.common import wall

FILL = """UPDATE records_carerelation SET site_id =
(SELECT p.site_id FROM records_patient p WHERE p.id = records_carerelation.patient_id)"""


def fill(apps, schema_editor):
    """Each relation gets the hospital of its patient."""
    with wall.asked_by(wall.SYSTEM):
        schema_editor.execute(FILL)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_signing_in'),
        ('records', '0018_every_coding'),
    ]

    operations = [
        migrations.AddField(
            model_name='carerelation',
            name='site',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='accounts.site'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.AlterField(
            model_name='carerelation',
            name='site',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to='accounts.site'),
        ),
    ]
