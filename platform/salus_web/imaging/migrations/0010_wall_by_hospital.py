"""The second wall asks for a live clinician's role at the patient's hospital."""

from django.db import migrations

from salus_web.common.wall import policy_again


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0009_moment_not_invented'),
        ('records', '0020_wall_by_hospital'),
    ]

    operations = [
        policy_again(
            ("imaging_study", "patient_id"),
            ("imaging_series", "patient_id"),
            ("imaging_instance", "patient_id"),
            ("imaging_rendition", "patient_id"),
        ),
    ]
