"""Stored risks with their reasons, maps, receipts and reviews; and each patient's current one per task."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Coalesce

from salus_web.accounts.models import User
from salus_web.common.fields import SealedText
from salus_web.common.ids import new_id
from salus_web.imaging.models import Instance
from salus_web.jobs.models import Job
from salus_web.records.models import Encounter, Patient
from salus_web.records.scopes import PatientScopedManager
from salus_web.registry.models import ModelBundle


class PredictionState(models.TextChoices):
    """What became of a risk. Only COMPUTED shows a number."""

    COMPUTED = "computed", "Computed"
    ABSTAINED = "abstained", "Cannot tell"
    FAILED = "failed", "Not computed"
    STALE = "stale", "Data changed since"
    WITHDRAWN = "withdrawn", "Withdrawn"


class Prediction(models.Model):
    """One risk of one patient at one index moment by one bundle. `origin` is live or out_of_fold.

    `account` holds reasons, missing inputs and arms as JSON, sealed because it repeats patient values.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    encounter = models.ForeignKey(Encounter, null=True, on_delete=models.SET_NULL)
    bundle = models.ForeignKey(ModelBundle, on_delete=models.PROTECT)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    task_id = models.CharField(max_length=80)
    origin = models.CharField(max_length=12, default="live")
    state = models.CharField(max_length=12, choices=PredictionState.choices)
    why = models.CharField(max_length=400, blank=True)
    index_at = models.DateTimeField()
    created_at = models.DateTimeField()
    probability = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    reference_probability = models.FloatField(null=True)
    margin = models.FloatField(null=True)
    reference_margin = models.FloatField(null=True)
    threshold = models.FloatField(null=True)
    pattern = models.CharField(max_length=40, blank=True)
    prediction_set = models.JSONField(default=list)
    account_sealed = models.BinaryField(default=b"")
    receipt_key = models.CharField(max_length=64, blank=True)
    receipt_sha256 = models.CharField(max_length=64, blank=True)
    requested_by = models.CharField(max_length=80)
    previous = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")

    account_json = SealedText("account_sealed", "person:patient_id")
    objects = PatientScopedManager()

    @property
    def case(self) -> str:
        """Which case of a case table it is of, by the row it stands in: a person may have several. Empty for a stay."""
        return self.encounter.source if self.encounter is not None and self.encounter.kind == "case" else ""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "patient", "encounter", "index_at"], name="one_result_per_job", condition=models.Q(job__isnull=False)
            )
        ]
        indexes = [
            models.Index(fields=["patient", "task_id", "-created_at"]),
            models.Index(fields=["task_id", "-created_at"]),
        ]


class CurrentRisk(models.Model):
    """The newest prediction of a patient for a task, flat for the worklist. `sort_probability` is null
    unless the state is computed, so that no other state is ever sorted among real risks. The keys are the same
    numbers with a value below every real one in place of null, kept by the database, so that an index can order them; a risk
    whose change is not known comes before what is no risk."""

    id = models.BigAutoField(primary_key=True)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    task_id = models.CharField(max_length=80)
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE)
    state = models.CharField(max_length=12)
    sort_probability = models.FloatField(null=True)
    change = models.FloatField(null=True)
    updated_at = models.DateTimeField()
    sort_key = models.GeneratedField(
        expression=Coalesce("sort_probability", models.Value(-1.0)), output_field=models.FloatField(), db_persist=True
    )
    change_key = models.GeneratedField(
        expression=Coalesce("change", models.Case(
            models.When(sort_probability__isnull=False, then=models.Value(-2.0)), default=models.Value(-3.0)
        )), output_field=models.FloatField(), db_persist=True,
    )  # fmt: skip

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["patient", "task_id"], name="one_current_risk")]
        indexes = [
            models.Index(fields=["task_id", "-sort_key", "id"]),
            models.Index(fields=["task_id", "-change_key", "id"]),
            models.Index(fields=["task_id", "state"]),
            models.Index(fields=["task_id", "-updated_at"]),
        ]


class DueMoment(models.Model):
    """One row for each index moment of a question, `hours` into a stay: how far stays were looked through for those that have
    come to it, in the order in which they began (`begun_to`, and of those that began at that moment, up to `after`), and how
    many patients were asked for."""

    id = models.BigAutoField(primary_key=True)
    task_id = models.CharField(max_length=80)
    hours = models.FloatField()
    begun_to = models.DateTimeField()
    after = models.UUIDField(null=True)
    last_at = models.DateTimeField()
    asked = models.PositiveBigIntegerField(default=0)
    last_asked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task_id", "hours"], name="one_look_per_moment")]


class RiskMap(models.Model):
    """Exact class activation of one image: NPY float32 (h, w) of percentage points, in the vault.
    `box` is where it lies over the image: left, top, right, bottom in pixels."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE)
    slot = models.CharField(max_length=80)
    box = models.JSONField()
    total_points = models.FloatField()
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)

    objects = PatientScopedManager()


class Review(models.Model):
    """A clinician's judgement of a prediction: accept or override, with a coded reason."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    prediction = models.ForeignKey(Prediction, on_delete=models.CASCADE)
    reviewer = models.ForeignKey(User, on_delete=models.PROTECT)
    decision = models.CharField(max_length=10)
    reason_code = models.CharField(max_length=40)
    note_sealed = models.BinaryField(default=b"")
    reviewed_at = models.DateTimeField()

    note = SealedText("note_sealed", "person:patient_id")
    objects = PatientScopedManager()
