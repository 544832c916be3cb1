from django.db import migrations

from salus_web.common.wall import policy_on


class Migration(migrations.Migration):

    dependencies = [
        ('imaging', '0004_plain_free_text_gone'),
        ('records', '0006_wall'),
    ]

    operations = [
        policy_on(
            ("imaging_study", "patient_id"),
            ("imaging_series", "patient_id"),
            ("imaging_instance", "patient_id"),
            ("imaging_rendition", "patient_id"),
        ),
    ]
