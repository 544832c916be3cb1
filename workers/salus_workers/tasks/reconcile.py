"""The beat: sends again what never arrived or whose worker died."""

from __future__ import annotations

from django.db import close_old_connections
from salus_web.jobs.celery import RECONCILE, app
from salus_web.jobs.services import reconcile


@app.task(name=RECONCILE)
def reconcile_jobs() -> None:
    """One round of the reconciler."""
    close_old_connections()
    reconcile()
