from django.db import migrations

from salus_web.common.wall import policy_on


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0005_plain_free_text_gone'),
    ]

    operations = [
        policy_on(
            ("records_patient", "id"),
            ("records_patientnametoken", "patient_id"),
            ("records_encounter", "patient_id"),
            ("records_observation", "patient_id"),
            ("records_condition", "patient_id"),
            ("records_medication", "patient_id"),
            ("records_allergy", "patient_id"),
            ("records_consent", "patient_id"),
        ),
    ]
