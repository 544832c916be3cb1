"""What a project asked to take out, who decided on it, and what already went out."""

from __future__ import annotations

from django.db import models

from salus_web.accounts.models import User
from salus_web.cohorts.models import Cohort, Project
from salus_web.common.ids import new_id
from salus_web.jobs.models import Job
from salus_web.jobs.selectors import OVER


class ReleaseState(models.TextChoices):
    """The life of a release."""

    PREPARING = "preparing", "Being prepared"
    REQUESTED = "requested", "Waiting for two people"
    RELEASED = "released", "Released"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Could not be prepared"


class Release(models.Model):
    """One export of a cohort: its files in the vault, its receipt, and what became of it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT)
    state = models.CharField(max_length=12, choices=ReleaseState.choices)
    why = models.CharField(max_length=400, blank=True)
    purpose = models.CharField(max_length=400)
    with_images = models.BooleanField(default=False)
    requested_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="releases_requested")
    requested_at = models.DateTimeField()
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)
    report = models.JSONField(default=dict)
    receipt = models.JSONField(default=dict)

    @property
    def shown_state(self) -> ReleaseState:
        """What a page says of it: a release whose job is over without a result is no longer being prepared. When the job is
        tried again, it is again."""
        is_over = self.job is None or self.job.state in OVER
        return ReleaseState(ReleaseState.FAILED if self.state == ReleaseState.PREPARING and is_over else self.state)

    @property
    def shown_why(self) -> str:
        """Why it could not be prepared, was refused or let out, in words."""
        if self.why or self.state != ReleaseState.PREPARING or self.shown_state != ReleaseState.FAILED:
            return self.why
        said = self.job.failure if self.job else ""
        return said or "The preparation ended without saying why. Ask for the files again."


class ReleaseDecision(models.Model):
    """One person's word on a release: it may leave, or not. Two people have to say yes; one no ends it.

    `for_sites` are the ids of the hospitals for which this person could speak when they did. One row, and no hospital, is
    also what is known of a release decided before two people were asked for.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    release = models.ForeignKey(Release, on_delete=models.CASCADE, related_name="decisions")
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="release_decisions")
    accepts = models.BooleanField()
    why = models.CharField(max_length=400, blank=True)
    at = models.DateTimeField()
    for_sites = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["release", "person"], name="one_word_each_on_a_release")]


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
    """Who already went out to a project: where the sealed list of their pseudonyms lies in the vault (`members_key`) and
    its digest, for the gate. No count is kept in it: the gate reads the list."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    release = models.ForeignKey(Release, null=True, on_delete=models.SET_NULL)
    definition = models.JSONField()
    members_key = models.CharField(max_length=64)
    members_sha256 = models.CharField(max_length=64)
    released_at = models.DateTimeField()
