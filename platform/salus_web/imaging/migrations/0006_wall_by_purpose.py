from django.db import migrations

from salus_web.common.wall import purpose_on


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0005_wall'),
        ('records', '0009_consents_stand'),
    ]

    operations = [
        purpose_on(
            ("imaging_study", "patient_id"),
            ("imaging_series", "patient_id"),
            ("imaging_instance", "patient_id"),
            ("imaging_rendition", "patient_id"),
        ),
    ]
