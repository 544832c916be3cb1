from django.db import migrations

from salus_web.common.wall import purpose_on


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0003_wall'),
        ('records', '0009_consents_stand'),
    ]

    operations = [
        purpose_on(
            ("predictions_prediction", "patient_id"),
            ("predictions_currentrisk", "patient_id"),
            ("predictions_riskmap", "patient_id"),
            ("predictions_review", "patient_id"),
        ),
    ]
