"""Task files and model bundles this installation knows, and which one speaks."""

from __future__ import annotations

from django.db import models

from salus_web.common.ids import new_id
from salus_web.records.models import Patient
from salus_web.records.scopes import PatientScopedManager


class TaskFile(models.Model):
    """A risk task file as loaded; an id may have several, of which the live bundle's (or else the newest bundle's) speaks."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    task_id = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=200)
    text = models.TextField()
    loaded_by = models.CharField(max_length=80)
    loaded_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["task_id", "-loaded_at"])]


class BundleState(models.TextChoices):
    """The life of a bundle."""

    CANDIDATE = "candidate", "Candidate"
    LIVE = "live", "Live"
    RETIRED = "retired", "Retired"
    WITHDRAWN = "withdrawn", "Withdrawn"


class ModelBundle(models.Model):
    """A trained model. `digest` is its manifest's; the files lie in the vault as one tar."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    digest = models.CharField(max_length=64, unique=True)
    task = models.ForeignKey(TaskFile, on_delete=models.PROTECT)
    state = models.CharField(max_length=12, choices=BundleState.choices, default=BundleState.CANDIDATE)
    card = models.JSONField(default=dict)
    crossval = models.JSONField(default=dict)
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)
    trained_by = models.CharField(max_length=80)
    trained_at = models.DateTimeField()
    requests_on_new_data = models.BooleanField(default=True)
    left_out_people = models.PositiveIntegerField(null=True)  # who do not allow training; shown as a safe count only

    class Meta:
        indexes = [models.Index(fields=["state", "-trained_at"])]


class BundlePerson(models.Model):
    """A person whose cases a bundle was trained on. Stands here alone: nothing in the bundle's files names anybody."""

    id = models.BigAutoField(primary_key=True)
    bundle = models.ForeignKey(ModelBundle, on_delete=models.CASCADE)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "bundle"], name="person_of_a_bundle_once")]


class BundleStep(models.Model):
    """One step in a bundle's history: who moved it from where to where, and why."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    bundle = models.ForeignKey(ModelBundle, on_delete=models.CASCADE)
    from_state = models.CharField(max_length=12)
    to_state = models.CharField(max_length=12)
    by = models.CharField(max_length=80)
    by_name = models.CharField(max_length=200)
    why = models.CharField(max_length=400)
    at = models.DateTimeField()


class BundleReport(models.Model):
    """One form (html, pdf or json) of a bundle's report, in the vault. `policy` is the content policy under which its
    page works: it names the page's own style and script by digest and allows nothing else."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    bundle = models.ForeignKey(ModelBundle, on_delete=models.CASCADE, related_name="reports")
    form = models.CharField(max_length=4)
    policy = models.TextField(blank=True)
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bundle", "form"], name="one_report_of_each_form")]
