"""The beat of the operations page: figures that take longer than a page may."""

from __future__ import annotations

from django.db import close_old_connections
from salus_web.jobs.celery import MEASURE, app
from salus_web.jobs.workers import measure


@app.task(name=MEASURE)
def measure_installation() -> None:
    """One round."""
    close_old_connections()
    measure()
