"""The second wall asks for a live clinician's role at the patient's hospital."""

from django.db import migrations

from salus_web.common.wall import policy_again


class Migration(migrations.Migration):

    dependencies = [
        ('stewardship', '0001_keeping'),
        ('records', '0020_wall_by_hospital'),
    ]

    operations = [
        policy_again(
            ("stewardship_followup", "patient_id"),
            ("stewardship_erasure", "patient_id"),
            ("stewardship_retentionitem", "patient_id"),
        ),
    ]
