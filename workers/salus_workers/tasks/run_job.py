"""The one task: claim a job by its id, run its pipeline, and put any failure into words on the job."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connections
from salus_learn.errors import LearnError
from salus_web.accounts.actors import system
from salus_web.common.errors import LogNotWritten, SalusError, StateConflict
from salus_web.common.trouble import FULL, sentence_for
from salus_web.jobs.celery import RUN_JOB, app
from salus_web.jobs.services import Claim, claim, fail, give_back, heartbeat, progress

from salus_workers.pipelines.registry import PIPELINES
from salus_workers.runtime.device import device_name

logger = logging.getLogger(__name__)
ACTOR = system("worker")
UNEXPECTED = "Something went wrong that nobody foresaw ({kind}). Nothing of this job was stored. It can be tried again."


@app.task(name=RUN_JOB, bind=True)
def run_job(self: Any, job_id: str) -> None:
    """Run one job if it is free to run. Never raises for a job that failed: the job row says so."""
    close_old_connections()
    held = claim(job_id=job_id, worker=f"{self.request.hostname or socket.gethostname()}:{os.getpid()}", device=device_name())
    if held is not None:
        run_claimed(held)


def run_claimed(held: Claim) -> None:
    """The pipeline of a claimed job, with its lease kept alive, and its failure in words."""
    stop = threading.Event()
    beat = threading.Thread(target=_keep_alive, args=(held, stop), daemon=True)
    beat.start()
    try:
        _run(held)
    finally:
        stop.set()
        beat.join(timeout=5)


def _run(held: Claim) -> None:
    pipeline = PIPELINES.get(held.kind)
    if pipeline is None:
        fail(claim=held, sentence=f"This installation does not know how to do “{held.kind}”.", by=ACTOR)
        return
    try:
        pipeline(held, _reporter(held))
    except (SalusError, LearnError) as refusal:  # a claim that was lost meanwhile is one too: its failure is not noted, see _fail
        _end_badly(held, refusal, str(refusal))
    except SoftTimeLimitExceeded:
        _fail(held, "This took longer than a job may take, so it was stopped. Nothing of it was stored.")
    except MemoryError:
        _fail(held, "This needed more memory than the worker has. Nothing of it was stored.")
    except Exception as error:  # noqa: BLE001 - a job's failure is shown on the job, whatever it was
        # the traceback may hold patient values, so only where it happened is logged
        logger.error("job %s (%s) failed: %s", held.job_id, held.kind, type(error).__name__)
        _end_badly(held, error, UNEXPECTED.format(kind=type(error).__name__))


def _end_badly(held: Claim, error: Exception, sentence: str) -> None:
    """A fault of the machine is not the job's: a full disk is said as such, and what a lost database broke off is done again."""
    trouble = sentence_for(error)
    if trouble and trouble != FULL:
        _give_back(held)
    else:
        _fail(held, trouble or sentence)


def _fail(held: Claim, sentence: str) -> None:
    try:
        fail(claim=held, sentence=sentence, by=ACTOR)
    except StateConflict:
        logger.warning("job %s was taken over or cancelled before its failure could be noted", held.job_id)
    except (DatabaseError, InterfaceError, LogNotWritten):
        logger.error("the failure of job %s could not be noted; it is tried again when its lease ends", held.job_id)


def _give_back(held: Claim) -> None:
    """As soon as the database answers; after the lease it is the reconciler's to do."""
    deadline = time.monotonic() + settings.SALUS_LEASE_SECONDS
    while time.monotonic() < deadline:
        try:
            give_back(claim=held, by=ACTOR)
            return
        except StateConflict:
            return  # somebody else has it already
        except (DatabaseError, InterfaceError, LogNotWritten):
            close_old_connections()
            time.sleep(1)
    logger.error("job %s could not be given back; it is tried again when its lease ends", held.job_id)


def _reporter(held: Claim) -> Callable[[float, str], None]:
    """Writes progress at most once a second: a fold more or less is not worth a commit."""
    last = [0.0]

    def report(fraction: float, message: str) -> None:
        if time.monotonic() - last[0] >= 1.0:
            last[0] = time.monotonic()
            progress(claim=held, fraction=fraction, message=message)

    return report


def _keep_alive(held: Claim, stop: threading.Event) -> None:
    """Prolongs the lease from a thread of its own, with its own connection, until the job ends."""
    while not stop.wait(settings.SALUS_LEASE_SECONDS / 4):
        try:
            if not heartbeat(claim=held):
                break
        except Exception as error:  # noqa: BLE001 - a missed beat is no failure; the lease decides
            logger.warning("the lease of job %s could not be prolonged: %s", held.job_id, type(error).__name__)
        finally:
            connections.close_all()


