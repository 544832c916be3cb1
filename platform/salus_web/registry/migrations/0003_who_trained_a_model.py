import django.db.models.deletion
from django.db import migrations, models

from salus_web.common.wall import policy_on


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0009_consents_stand'),
        ('registry', '0002_reports'),
    ]

    operations = [
        migrations.AddField(
            model_name='modelbundle',
            name='left_out_people',
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.CreateModel(
            name='BundlePerson',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('bundle', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='registry.modelbundle')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='records.patient')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('patient', 'bundle'), name='person_of_a_bundle_once')],
            },
        ),
        policy_on(("registry_bundleperson", "patient_id")),
    ]
