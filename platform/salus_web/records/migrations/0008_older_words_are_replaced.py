"""Of each patient's words on a purpose only the newest stands; the older ones were replaced when the next was recorded."""

from django.db import migrations

LONGEST = 500


def forwards(apps, schema_editor):
    """Mark them, and give those who recorded them their names."""
    Consent, User = apps.get_model("records", "Consent"), apps.get_model("accounts", "User")
    names = {str(pk): name for pk, name in User.objects.values_list("pk", "display_name")}
    after = {}
    for row in Consent.objects.order_by("-version").iterator(chunk_size=LONGEST):
        row.superseded_at = after.get((row.patient_id, row.purpose))
        row.recorded_by_name = names.get(row.recorded_by, row.recorded_by)
        row.save(update_fields=["superseded_at", "recorded_by_name"])
        after[row.patient_id, row.purpose] = row.recorded_at


class Migration(migrations.Migration):
    dependencies = [("records", "0007_what_a_patient_allows")]
    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
