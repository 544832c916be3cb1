"""What came to the door and what became of it."""

from __future__ import annotations

from django.db import models

from salus_web.accounts.models import Site
from salus_web.common.fields import SealedList, SealedText
from salus_web.common.ids import new_id
from salus_web.jobs.models import Job


class UploadState(models.TextChoices):
    """The life of an upload."""

    RECEIVED = "received", "Received"
    PARSING = "parsing", "Being read"
    STORED = "stored", "Stored"
    UNCHANGED = "unchanged", "Already here"
    REFUSED = "refused", "Refused"
    ERASED = "erased", "Erased with a person"


class Upload(models.Model):
    """One file as it came, with its hash. A file name may hold a name and a refusal may quote the file, so both are
    sealed, with the file's bytes, under a key of this upload's own."""

    vault_owner = "upload:id"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT)
    filename_sealed = models.BinaryField(default=b"")
    form = models.CharField(max_length=20, blank=True)
    state = models.CharField(max_length=12, choices=UploadState.choices, default=UploadState.RECEIVED)
    problems_sealed = models.BinaryField(default=b"")
    counts = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    blob_key = models.CharField(max_length=64)
    blob_sha256 = models.CharField(max_length=64)
    blob_bytes = models.BigIntegerField()
    received_by = models.CharField(max_length=80)
    received_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL)

    filename = SealedText("filename_sealed", "upload:id")
    problems = SealedList("problems_sealed", "upload:id")

    class Meta:
        indexes = [models.Index(fields=["-received_at"]), models.Index(fields=["blob_sha256", "site"])]
