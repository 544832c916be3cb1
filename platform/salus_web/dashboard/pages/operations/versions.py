"""What this installation runs on: the web, the workers, the database server, the broker."""

from __future__ import annotations

import platform
from typing import Any

import django
from django.conf import settings
from django.db import connection

from salus_web.dashboard.pages.operations.figure import GOOD, LOOK, PLAIN, UNKNOWN, Figure, known
from salus_web.dashboard.probes import Answer
from salus_web.jobs.broker import BrokerState
from salus_web.jobs.standing import WorkerNow

REPORTED = ("Salus", "Python", "django", "celery", "torch", "onnxruntime", "xgboost")
LABELS = {"django": "Django", "celery": "Celery", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "xgboost": "XGBoost"}
NO_WORKER = "No worker lives to say it."


def version_figures(workers: list[WorkerNow], broker: Answer) -> list[Figure]:
    """What this runs on; a worker of another version than the web stands out."""
    own = {"Salus": settings.SALUS_CODE_VERSION, "Python": platform.python_version(), "django": django.get_version()}
    alive = [one for one in workers if one.is_alive]
    return [
        *(_version(name, own.get(name, ""), alive) for name in REPORTED),
        known("Database server", lambda: Figure("Database server", _server())),
        _broker(broker),
    ]  # fmt: skip


def _version(name: str, own: str, alive: list[WorkerNow]) -> Figure:
    label = LABELS.get(name, name)
    theirs = sorted({str(one.row.versions.get(name, "not said")) for one in alive})
    if not own:
        return Figure(label, ", ".join(theirs) or "not known", PLAIN if theirs else UNKNOWN, "" if theirs else NO_WORKER)
    if theirs and theirs != [own]:
        return Figure(label, f"{own}; workers {', '.join(theirs)}", LOOK, "Workers run another version: start them again.")
    return Figure(label, own, PLAIN, "" if theirs else "of the web; no worker lives to say its own")


def _server() -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW server_version")
            return f"PostgreSQL {cursor.fetchone()[0]}"
        cursor.execute("SELECT sqlite_version()")
        return f"SQLite {cursor.fetchone()[0]}"


def _broker(answer: Answer) -> Figure:
    if answer.trouble:
        return Figure("Broker", "not known", UNKNOWN, f"{answer.trouble.rstrip('.')}. Jobs wait in the database and are sent when it answers.")
    state: BrokerState = answer.value
    return Figure("Broker", state.version, GOOD)


def depth_of(answer: Answer, queue: str) -> Any:
    """How many messages lie at the broker for a queue; None when that is not known."""
    return None if answer.trouble else answer.value.depth.get(queue)
