"""What must follow from a withdrawal or an erasure, who asked for one and who agreed, and how long data is kept."""

from __future__ import annotations

from django.db import models

from salus_web.accounts.models import Site
from salus_web.common.ids import new_id
from salus_web.jobs.models import Job
from salus_web.records.models import Patient
from salus_web.records.scopes import PatientScopedManager


class Decision(models.TextChoices):
    """The life of what two people decide."""

    WAITING = "waiting", "Waiting for a second person"
    AGREED = "agreed", "Agreed, being carried out"
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"


class FollowUp(models.Model):
    """An export or a model bundle that still holds a person who took a purpose back or was erased, for an administrator to
    act on. `done_words` is what was done, as one sentence; it names no patient."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    why = models.CharField(max_length=20)  # research, training (the purpose taken back), or erasure
    kind = models.CharField(max_length=10)  # export or bundle
    object_id = models.UUIDField()
    title = models.CharField(max_length=200)
    found_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)
    done_by_name = models.CharField(max_length=200, blank=True)
    done_words = models.CharField(max_length=400, blank=True)

    objects = PatientScopedManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["patient", "kind", "object_id", "why"], name="follow_up_once_open", condition=models.Q(done_at__isnull=True)
            )
        ]
        indexes = [models.Index(fields=["done_at", "-found_at"])]


class Erasure(models.Model):
    """That a person is to be erased: who asked and why, what would go, and what a second person said."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    state = models.CharField(max_length=10, choices=Decision.choices, default=Decision.WAITING)
    reason = models.CharField(max_length=200)
    asked_by = models.CharField(max_length=80)
    asked_by_name = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    decided_by_name = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=200, blank=True)
    counts = models.JSONField(default=dict)

    objects = PatientScopedManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["patient"], name="one_erasure_waits", condition=models.Q(state="waiting"))
        ]


class RetentionRule(models.Model):
    """For how many years after a person's last encounter one kind of record is kept; None: for ever. Each change is a new
    row, and the newest of a kind holds."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10)
    years = models.PositiveSmallIntegerField(null=True)
    changed_by_name = models.CharField(max_length=200)
    changed_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["kind", "-changed_at"])]


class RetentionRun(models.Model):
    """What a dry run found at one hospital, and what became of it once a second person agreed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    state = models.CharField(max_length=10, choices=Decision.choices, default=Decision.WAITING)
    rules = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    asked_by = models.CharField(max_length=80)
    asked_by_name = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    decided_by_name = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    why = models.CharField(max_length=200, blank=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)

    class Meta:
        indexes = [models.Index(fields=["site", "-asked_at"])]


class RetentionItem(models.Model):
    """One person and kind of record in a run: since when it is due, what would go, why it is held, and what became of it."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(RetentionRun, on_delete=models.CASCADE, related_name="items")
    patient = models.ForeignKey(Patient, on_delete=models.CASCADE)
    kind = models.CharField(max_length=10)
    last_at = models.DateTimeField(null=True)  # None once the person is erased
    rows = models.PositiveIntegerField(default=0)
    files = models.PositiveIntegerField(default=0)
    held = models.BooleanField(default=False)
    outcome = models.CharField(max_length=200, blank=True)

    objects = PatientScopedManager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "patient", "kind"], name="retention_item_once")]
