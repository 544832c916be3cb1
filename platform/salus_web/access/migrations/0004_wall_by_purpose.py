"""What was written when the glass was broken may be clinical, so it is read for no purpose that the patient refused."""

from django.db import migrations

from salus_web.common.wall import purpose_on


class Migration(migrations.Migration):
    dependencies = [("access", "0003_requests"), ("records", "0009_consents_stand")]
    operations = [purpose_on(("access_breakglass", "patient_id"))]
