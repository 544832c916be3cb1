"""The beat of the log: a checkpoint when one is due, for the file and the witness."""

from __future__ import annotations

from django.db import close_old_connections
from salus_web.audit.beat import checkpoint_when_due
from salus_web.jobs.celery import CHECKPOINT, app


@app.task(name=CHECKPOINT)
def checkpoint_log() -> None:
    """One round: sign what is due, and tell those who do not know it yet."""
    close_old_connections()
    checkpoint_when_due()
