"""The beat of refused files: after thirty days their bytes go; the row with the reason stays."""

from __future__ import annotations

from django.db import close_old_connections
from salus_web.accounts.actors import system
from salus_web.ingest.sweeping import forget_refused
from salus_web.jobs.celery import FORGET_REFUSED, app

ACTOR = system("refused_files")


@app.task(name=FORGET_REFUSED)
def forget_refused_files() -> None:
    """One round."""
    close_old_connections()
    forget_refused(by=ACTOR)
