"""The worker's entry for `celery -A salus_workers.app`: Django up, broker set, tasks registered, threads fixed."""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "salus_web.config.settings.production")
django.setup()

from salus_web.jobs.celery import configure  # noqa: E402 - Django must be up first

from salus_workers.runtime.threads import limit_threads  # noqa: E402
from salus_workers.tasks import reconcile, run_job  # noqa: E402, F401 - importing registers the tasks

limit_threads()
app = configure()
