"""What became of each backup and of each restore drill. Holds no patient."""

from __future__ import annotations

from django.db import models

from salus_web.common.ids import new_id


class RunKind(models.TextChoices):
    """What was run."""

    BACKUP = "backup", "Backup"
    DRILL = "drill", "Restore drill"


class Run(models.Model):
    """One backup or restore drill that ended, well or not."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=RunKind.choices)
    backup = models.CharField(max_length=80, blank=True)  # the folder's name
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField()
    done = models.BooleanField()
    reason = models.CharField(max_length=400, blank=True)  # why it is not done
    size_bytes = models.BigIntegerField(default=0)
    found = models.JSONField(default=dict)  # counts, digests, and where the log stood

    class Meta:
        indexes = [models.Index(fields=["kind", "-finished_at"])]
