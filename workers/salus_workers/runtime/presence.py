"""A worker says every ten seconds that it lives, from a thread of its parent process with a connection of its own."""

from __future__ import annotations

import contextlib
import logging
import platform
import threading
from collections.abc import Callable
from importlib import metadata
from typing import Any

from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import connections
from salus_web.common.clock import now
from salus_web.jobs.celery import ASK_DUE, MEASURE
from salus_web.jobs.workers import SAID_EVERY_SECONDS, say_alive, say_ended

from salus_workers.runtime.forking import not_while_forking

logger = logging.getLogger(__name__)
_stop = threading.Event()
PACKAGES = {
    "django": ("django",), "celery": ("celery",), "torch": ("torch",), "onnxruntime": ("onnxruntime-gpu", "onnxruntime"),
    "xgboost": ("xgboost-cpu", "xgboost"),
}  # fmt: skip


def versions() -> dict[str, str]:
    """What this worker runs on. Read from what is installed: torch itself must not be touched in a process that forks."""
    return {
        "Salus": settings.SALUS_CODE_VERSION, "Python": platform.python_version(),
        **{name: _version(*packages) for name, packages in PACKAGES.items()},
    }  # fmt: skip


def _version(*packages: str) -> str:
    """Of the first of these packages that is installed."""
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return "not installed"


@worker_ready.connect
def begin(sender: Any, **_: Any) -> None:
    """Once the worker takes jobs."""
    queues = sorted(sender.app.amqp.queues.consume_from)
    threading.Thread(target=_go_on, args=(sender.hostname, queues, _stop), daemon=True).start()
    if "cpu" in queues:  # at once, so that a fresh installation does not wait for the beat; a child does it, for a full vault takes minutes
        _quietly(lambda: [sender.app.send_task(name, queue="cpu") for name in (MEASURE, ASK_DUE)])


@worker_shutdown.connect
def end(sender: Any, **_: Any) -> None:
    """As it ends in good order."""
    _stop.set()
    _quietly(lambda: say_ended(name=sender.hostname))


def _go_on(name: str, queues: list[str], stop: threading.Event) -> None:
    started, told = now(), versions()

    def say() -> None:
        if not stop.is_set():  # it may have ended while this waited for its turn, and its end is its last word
            say_alive(name=name, queues=queues, started_at=started, versions=told)

    while not stop.is_set():
        _quietly(say)
        stop.wait(SAID_EVERY_SECONDS)


def _quietly(act: Callable[[], object]) -> None:
    """No worker stops because it could not say that it lives; it is missed on the page instead."""
    with not_while_forking:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it was, the work goes on
            logger.warning("the worker could not say that it lives: %s", type(error).__name__)
        finally:
            connections.close_all()
