"""One writer of the audit bench: transactions for some seconds, without and with a line in the log. A process of its own.

`python -m salus_web.audit.bench ACT START SECONDS` prints how many it committed of each and how long they took. ACT is `service` (one
question and one row through the ORM, what the smallest of our services does) or `bare` (one row by one statement, the least
there can be).
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable

import django

django.setup()

from django.db import connection, transaction  # noqa: E402 - Django must be up first

from salus_web.audit.models import SavedSearch  # noqa: E402
from salus_web.audit.services import Act, record  # noqa: E402
from salus_web.audit.shell import SHELL  # noqa: E402
from salus_web.common.clock import now  # noqa: E402

_BARE = "INSERT INTO audit_savedsearch (id, owner_id, name, wanted, saved_at) VALUES (%s, %s, %s, '{}', %s)"


def _service(name: str) -> None:
    if not SavedSearch.objects.filter(owner_id="bench", name=name).exists():
        SavedSearch.objects.create(owner_id="bench", name=name, wanted={}, saved_at=now())


def _bare(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_BARE, [name, "bench", name, now()])


BLOCK = 20
ACTS = {"service": _service, "bare": _bare}


def taking_turns(act: str, *, seconds: float) -> dict[str, float]:
    """Blocks of transactions without and with a line take turns; returns how many of each and how long they took."""
    found = {"plain": 0.0, "plain_s": 0.0, "audited": 0.0, "audited_s": 0.0}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for kind in ("plain", "audited"):
            started = time.perf_counter()
            for number in range(BLOCK):
                _one(ACTS[act], number if kind == "audited" else None)
            found[f"{kind}_s"] += time.perf_counter() - started
            found[kind] += BLOCK
    return found


def _one(write: Callable[[str], None], number: int | None) -> None:
    """One transaction, with a line in the log when it has a number."""
    name = uuid.uuid4().hex
    with transaction.atomic():
        write(name)
        if number is not None:
            record(Act("bench.write", "bench", name, name, "care", detail={"n": number}), by=SHELL)


def main(act: str, start: str, seconds: str) -> None:
    """Connect, wait for the common start, write."""
    taking_turns(act, seconds=0.1)
    time.sleep(max(0.0, float(start) - time.time()))
    sys.stdout.write(json.dumps(taking_turns(act, seconds=float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])
