"""The second wall asks for a live clinician's role at the patient's hospital."""

from django.db import migrations

from salus_web.common.wall import policy_again


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0007_change_before_states'),
        ('records', '0020_wall_by_hospital'),
    ]

    operations = [
        policy_again(
            ("predictions_prediction", "patient_id"),
            ("predictions_currentrisk", "patient_id"),
            ("predictions_riskmap", "patient_id"),
            ("predictions_review", "patient_id"),
        ),
    ]
