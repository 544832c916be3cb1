"""The worker of the jobs drill: Salus's own, with one more kind of job that counts what it did.

`celery -A tests.drills.jobs_worker worker …`
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from salus_workers.app import app  # Django is up after this line

from django.db import transaction  # isort: skip
from salus_web.accounts.actors import system  # isort: skip
from salus_web.audit.services import Act, record  # isort: skip
from salus_web.jobs.services import Claim, finish  # isort: skip
from salus_workers.pipelines.registry import PIPELINES  # isort: skip

__all__ = ["app"]
KIND, POISON = "drill", "poison"
DRILL = system("drill")


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


PIPELINES[KIND], PIPELINES[POISON] = counted, poisonous
