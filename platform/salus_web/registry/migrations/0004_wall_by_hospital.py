"""The second wall asks for a live clinician's role at the patient's hospital."""

from django.db import migrations

from salus_web.common.wall import policy_again


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0003_who_trained_a_model'),
        ('records', '0020_wall_by_hospital'),
    ]

    operations = [
        policy_again(
            ("registry_bundleperson", "patient_id"),
        ),
    ]
