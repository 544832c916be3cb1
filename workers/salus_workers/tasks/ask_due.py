"""The beat of index moments: asks for a risk of each stay that has come to a moment at which a live model speaks of it."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import close_old_connections
from salus_learn.errors import LearnError
from salus_learn.tasks.loader import task_from_text
from salus_learn.tasks.moments import index_hours
from salus_web.accounts.actors import system
from salus_web.jobs.celery import ASK_DUE, app
from salus_web.predictions.due import ask_when_due
from salus_web.registry.selectors import live_bundles

ACTOR = system("due_stays")
logger = logging.getLogger(__name__)


@app.task(name=ASK_DUE)
def ask_for_due_stays() -> None:
    """One round over the live models that speak of stays; a case table's cases have no moment to wait for."""
    close_old_connections()
    for bundle in live_bundles():
        try:
            task = task_from_text(bundle.task.text, name=bundle.task.task_id)
        except LearnError:  # one whose text is not understood any more keeps no other from being asked
            logger.error("the task file of model %s cannot be read; no stay is waited for", bundle.pk)
            continue
        if task.index != "case":
            for hours in index_hours(task):
                ask_when_due(bundle=bundle, delay=timedelta(hours=hours), by=ACTOR)
