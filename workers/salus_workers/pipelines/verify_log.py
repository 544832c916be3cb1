"""Walks the audit log from its first line and keeps what was found on the job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db import transaction
from salus_web.accounts.actors import system
from salus_web.audit.selectors import every_line, head
from salus_web.audit.verifier import verify
from salus_web.common.clock import now
from salus_web.jobs.services import Claim, finish

ACTOR = system("verify_log")
REPORT_EVERY = 5_000


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Verify against the head as it was when the walk began, so that a cut tail is found too."""
    end = head()
    found = verify(_counted(end[0], report), saved_head=end if end[0] else None)
    result = {
        "code": found.code, "number": found.number, "digest": found.digest, "sentence": found.sentence,
        "at": now().isoformat(timespec="seconds"),
    }  # fmt: skip
    with transaction.atomic():
        finish(claim=claim, result=result, by=ACTOR)


def _counted(total: int, report: Callable[[float, str], None]) -> Iterator[dict[str, Any]]:
    """The lines, with progress."""
    for number, line in enumerate(every_line(), 1):
        if number % REPORT_EVERY == 0:
            report(min(number / max(total, 1), 1.0), f"line {number:,} of {total:,}")
        yield line
