from django.db import migrations

from salus_web.common.wall import policy_on


class Migration(migrations.Migration):

    dependencies = [
        ('predictions', '0002_worklist_by_index'),
        ('records', '0006_wall'),
    ]

    operations = [
        policy_on(
            ("predictions_prediction", "patient_id"),
            ("predictions_currentrisk", "patient_id"),
            ("predictions_riskmap", "patient_id"),
            ("predictions_review", "patient_id"),
        ),
    ]
