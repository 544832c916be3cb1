"""The worker's entry for `celery -A salus_workers.app`: threads fixed, Django up, broker set, tasks registered."""

from __future__ import annotations

import os

from salus_workers.runtime.environment import prepare

prepare()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "salus_web.config.settings.production")

import django  # noqa: E402 - the environment comes first

django.setup()

from celery.signals import setup_logging  # noqa: E402
from salus_web.jobs.celery import configure  # noqa: E402 - Django must be up first

from salus_workers.runtime import (  # noqa: E402, F401 - connect the child's first step, and the sign of life
    presence,
    threads,
)
from salus_workers.tasks import (  # noqa: E402, F401 - importing registers the tasks
    ask_due,
    checkpoint,
    forget_refused,
    forget_sessions,
    measure,
    reconcile,
    run_job,
)

app = configure()


@setup_logging.connect
def keep_our_log_lines(**_: object) -> None:
    """Celery would set handlers of its own, whose lines repeat an exception's words; Django's settings have set ours."""
