"""The second wall asks for a live clinician's role at the patient's hospital."""

from django.db import migrations

from salus_web.common.wall import policy_again


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0004_wall_by_purpose'),
        ('records', '0020_wall_by_hospital'),
    ]

    operations = [
        policy_again(
            ("access_breakglass", "patient_id"),
        ),
    ]
