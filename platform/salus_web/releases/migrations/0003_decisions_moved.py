"""Who decided on a release becomes a row of its own, and the report loses the true number of rows.

A release that one person let out before two were asked for stays released, with that one person's word. On the way back
the last word is kept, and the true number comes from the receipt.
"""

from django.db import migrations

SMALLEST, BASE = 11, 5


def safe(count):
    """As `cohorts.disclosure.safe_count` has it today."""
    return None if 0 < count < SMALLEST else BASE * ((2 * count + BASE) // (2 * BASE))


def forwards(apps, schema_editor):
    """One word for each release that somebody decided on; a safe count in each report."""
    Release, Decision = apps.get_model("releases", "Release"), apps.get_model("releases", "ReleaseDecision")
    for row in Release.objects.exclude(decided_by=None):
        said = {"accepts": row.state == "released", "why": row.why, "at": row.decided_at or row.requested_at}
        Decision.objects.get_or_create(release=row, person_id=row.decided_by_id, defaults=said)
    for row in Release.objects.filter(report__has_key="rows"):
        row.report["people_in_files"] = safe(row.report.pop("rows"))
        row.save(update_fields=["report"])


def backwards(apps, schema_editor):
    """The last word of each release that was let out or refused; the number from the receipt."""
    Release = apps.get_model("releases", "Release")
    for row in Release.objects.filter(state__in=["released", "refused"]):
        last = row.decisions.order_by("-at").first()
        if last is not None:
            row.decided_by_id, row.decided_at = last.person_id, last.at
            row.save(update_fields=["decided_by", "decided_at"])
    for row in Release.objects.filter(report__has_key="people_in_files"):
        shown = row.report.pop("people_in_files")
        row.report["rows"] = row.receipt.get("counts", {}).get("rows", shown)
        row.save(update_fields=["report"])


class Migration(migrations.Migration):
    dependencies = [("releases", "0002_decisions")]
    operations = [migrations.RunPython(forwards, backwards)]
