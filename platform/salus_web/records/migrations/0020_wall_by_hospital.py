"""The second wall asks for a live clinician's role at the patient's hospital."""

from django.db import migrations

from salus_web.common.wall import policy_again


class Migration(migrations.Migration):

    dependencies = [
        ('records', '0019_hospital_of_a_relation'),
        ('accounts', '0002_signing_in'),
    ]

    operations = [
        policy_again(
            ("records_patient", "id"),
            ("records_patientnametoken", "patient_id"),
            ("records_encounter", "patient_id"),
            ("records_observation", "patient_id"),
            ("records_condition", "patient_id"),
            ("records_medication", "patient_id"),
            ("records_allergy", "patient_id"),
            ("records_consent", "patient_id"),
            ("records_legalhold", "patient_id"),
        ),
    ]
