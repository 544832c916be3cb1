"""Titles and messages of jobs from before say no longer of how many people they are: everybody of every hospital reads them."""

from django.db import migrations


def without_counts(apps, schema_editor):
    """What a job is for stays; of how many people it was goes."""
    jobs = apps.get_model("jobs", "Job").objects
    jobs.filter(kind="predict", title__endswith=" patient(s)").update(title="Computing risks")
    jobs.filter(kind="replay", title__endswith=" risks from their receipts").update(title="Recomputing risks from their receipts")
    jobs.filter(kind__in=["predict", "load_cases", "replay", "retention_run"]).update(message="")


class Migration(migrations.Migration):
    dependencies = [("jobs", "0003_workers_and_measures")]
    operations = [migrations.RunPython(without_counts, migrations.RunPython.noop)]
