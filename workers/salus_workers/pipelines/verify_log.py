"""Walks the audit log from its first line and keeps what was found on the job."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction
from salus_web.accounts.actors import system
from salus_web.audit.examination import as_result, examine
from salus_web.jobs.services import Claim, finish

ACTOR = system("verify_log")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Verify the log as it is when the walk begins, against its checkpoints, their file and the witness."""
    started = time.monotonic()
    found = examine(report=lambda done, total: report(min(done / max(total, 1), 1.0), f"line {done:,} of {total:,}"))
    with transaction.atomic():
        finish(claim=claim, result=as_result(found, started=started), by=ACTOR)
