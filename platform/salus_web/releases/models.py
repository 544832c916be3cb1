"""What a project asked to take out, who looked at it, and what already went out."""

from __future__ import annotations

from django.db import models

from salus_web.accounts.models import User
from salus_web.cohorts.models import Cohort, Project
from salus_web.common.ids import new_id
from salus_web.jobs.models import Job


class ReleaseState(models.TextChoices):
    """The life of a release."""

    PREPARING = "preparing", "Being prepared"
    REQUESTED = "requested", "Waiting for a second person"
    RELEASED = "released", "Released"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Could not be prepared"


class Release(models.Model):
    """One export of a cohort: its files in the vault, its receipt, and the person who released it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT)
    state = models.CharField(max_length=12, choices=ReleaseState.choices)
    why = models.CharField(max_length=400, blank=True)
    purpose = models.CharField(max_length=400)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="releases_requested")
    requested_at = models.DateTimeField()
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="releases_decided")
    decided_at = models.DateTimeField(null=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    report = models.JSONField(default=dict)
    receipt = models.JSONField(default=dict)


class ReleaseFile(models.Model):
    """One file of a release (CSV, Parquet, data dictionary, receipt)."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="files")
    name = models.CharField(max_length=120)
    media_type = models.CharField(max_length=80)
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)
    blob_bytes = models.BigIntegerField()


class ReleasedCount(models.Model):
    """What already went out to a project: the keyed hash of a person set and its size, for differencing."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    release = models.ForeignKey(Release, null=True, on_delete=models.SET_NULL)
    definition = models.JSONField()
    members_key = models.CharField(max_length=64)
    members_sha256 = models.CharField(max_length=64)
    released_at = models.DateTimeField()
