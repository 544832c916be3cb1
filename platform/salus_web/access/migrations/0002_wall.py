from django.db import migrations

from salus_web.common.wall import policy_on


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0001_break_glass'),
        ('records', '0006_wall'),
    ]

    operations = [
        policy_on(("access_breakglass", "patient_id")),
    ]
