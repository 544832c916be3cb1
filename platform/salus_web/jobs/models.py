"""The queue of record: what is to be done, who is doing it, and what became of it."""

from __future__ import annotations

from django.db import models

from salus_web.common.ids import new_id


class JobState(models.TextChoices):
    """The life of a job."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    QUARANTINED = "quarantined", "Quarantined"
    CANCELLED = "cancelled", "Cancelled"


class Job(models.Model):
    """One piece of work. `unique_key` says what, whose data, which bundle: the same is never queued twice."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=60)
    queue = models.CharField(max_length=20, default="cpu")
    unique_key = models.CharField(max_length=200, unique=True)
    payload = models.JSONField(default=dict)
    title = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    requested_by = models.CharField(max_length=80)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    crashes = models.PositiveIntegerField(default=0)
    fence = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    device = models.CharField(max_length=120, blank=True)
    progress = models.FloatField(default=0.0)
    message = models.CharField(max_length=400, blank=True)
    failure = models.TextField(blank=True)
    result = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["state", "lease_until"]), models.Index(fields=["-created_at"])]


class Outbox(models.Model):
    """A job id that still has to reach the broker; written with the job, removed when published."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True)
    created_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True)
    tries = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(fields=["published_at"]),
            models.Index(fields=["tries", "-published_at"], name="outbox_sent_again"),
        ]


class Reconciler(models.Model):
    """One row: when jobs were last looked through for what got lost, and what was found."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last_at = models.DateTimeField()
    last_sent = models.PositiveIntegerField(default=0)
    last_sent_at = models.DateTimeField(null=True)
    rounds = models.PositiveBigIntegerField(default=0)
    sent = models.PositiveBigIntegerField(default=0)
    shortened = models.PositiveBigIntegerField(default=0)


class Worker(models.Model):
    """One worker process as it last said of itself: every ten seconds while it lives, and once as it ends."""

    name = models.CharField(max_length=120, primary_key=True)
    queues = models.CharField(max_length=80)
    process_id = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    versions = models.JSONField(default=dict)


class Measure(models.Model):
    """A figure of the installation that takes too long to find while a page is made, as a worker last found it."""

    name = models.CharField(max_length=80, primary_key=True)
    value = models.BigIntegerField(default=0)
    at = models.DateTimeField()
