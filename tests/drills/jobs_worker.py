"""The worker of the jobs drill: Salus's own, with one more kind of job that counts what it did.

`celery -A tests.drills.jobs_worker worker …`
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence

from salus_workers.app import app  # Django is up after this line

from django.db import transaction  # isort: skip
from salus_web.accounts.actors import Actor, system  # isort: skip
from salus_web.audit.models import Event  # isort: skip
from salus_web.audit.services import Act, record, record_many  # isort: skip
from salus_web.jobs.services import Claim, finish  # isort: skip
from salus_web.predictions import services as predictions  # isort: skip
from salus_workers.pipelines import predict  # isort: skip
from salus_workers.pipelines.registry import PIPELINES  # isort: skip

__all__ = ["app"]
KIND, POISON = "drill", "poison"
DRILL = system("drill")
PAUSE_SECONDS = 0.15


def counted(held: Claim, report: Callable[[float, str], None]) -> None:
    """A short piece of work whose result is one line of the log, in the transaction that ends the job."""
    report(0.5, "half")
    time.sleep(held.payload["seconds"])  # whoever is stopped here comes late to the fence
    with transaction.atomic():
        record(Act("drill.result", "job", held.job_id), by=DRILL)
        finish(claim=held, result={"fence": held.fence}, by=DRILL)


def poisonous(held: Claim, report: Callable[[float, str], None]) -> None:
    """Work that kills whoever does it."""
    os.kill(os.getpid(), signal.SIGKILL)


def unhurried(held: Claim, report: Callable[[float, str], None]) -> None:
    """Salus's own risk of a person, slowed down: a kill must be able to fall before, into and after the transaction."""
    time.sleep(PAUSE_SECONDS)
    predict.run(held, report)


def slow_lines(acts: Sequence[Act], *, by: Actor) -> list[Event]:
    """The log's lines of stored risks, in the middle of their transaction, slowed down."""
    time.sleep(PAUSE_SECONDS)
    return record_many(acts, by=by)


predictions.record_many = slow_lines  # type: ignore[assignment]
PIPELINES[KIND], PIPELINES[POISON], PIPELINES["predict"] = counted, poisonous, unhurried
