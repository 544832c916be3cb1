"""The one Celery object and the names of queues and tasks. The web sends by name and imports no worker."""

from __future__ import annotations

from celery import Celery
from django.conf import settings

QUEUES = ("cpu", "gpu")
RUN_JOB = "salus.run_job"
RECONCILE = "salus.reconcile"
CHECKPOINT = "salus.checkpoint"
MEASURE = "salus.measure"
ASK_DUE = "salus.ask_due"
FORGET_REFUSED = "salus.forget_refused"
FORGET_SESSIONS = "salus.forget_sessions"

app = Celery("salus")


def configure() -> Celery:
    """Set the broker and the delivery rules; called by the web and by the workers after Django is up."""
    app.conf.update(
        broker_url=settings.CELERY_BROKER_URL,
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_default_queue="cpu",
        task_soft_time_limit=3300,
        task_time_limit=3500,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "visibility_timeout": 3600,
            # kombu restores unacknowledged messages only every interval x throttle seconds
            "unacked_restore_interval": 2,
            "unacked_restore_throttle": 1,
        },
        beat_schedule={
            "reconcile": {"task": RECONCILE, "schedule": 10.0, "options": {"queue": "cpu"}},
            "checkpoint": {"task": CHECKPOINT, "schedule": 10.0, "options": {"queue": "cpu"}},
            "measure": {"task": MEASURE, "schedule": 600.0, "options": {"queue": "cpu"}},
            "forget_refused": {"task": FORGET_REFUSED, "schedule": 3600.0, "options": {"queue": "cpu"}},
            "forget_sessions": {"task": FORGET_SESSIONS, "schedule": 3600.0, "options": {"queue": "cpu"}},
            "ask_due": {"task": ASK_DUE, "schedule": 60.0, "options": {"queue": "cpu"}},
        },
    )
    return app
