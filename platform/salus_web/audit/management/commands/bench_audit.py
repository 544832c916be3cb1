"""`manage.py bench_audit` (`./salus bench audit`): audited against unaudited transactions in the same run, and the verifier's rate."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from salus_web.audit.chain import EXPORTED, FORM, GENESIS, digest
from salus_web.audit.scratch import scratch_database
from salus_web.audit.verifier import walk

SECONDS_TO_CONNECT = 2.0
LINES = 200_000
# judged on `service`, the least that a service of ours does; `bare` says what the line costs beside one plain INSERT
COST_AT_MOST_PERCENT, LINES_A_SECOND = 30.0, 50_000


class Command(BaseCommand):
    """Measures what the log costs, on a database of its own that is gone afterwards."""

    help = "Print as JSON what the log costs: audited against unaudited transactions a second, and lines verified a second; 1 when a goal is missed."

    def add_arguments(self, parser: CommandParser) -> None:
        """How long."""
        parser.add_argument("--quick", action="store_true", help="fewer rounds")

    def handle(self, *args: Any, **options: Any) -> None:
        """Without and with the log take turns in each writer, so that whatever else the machine does falls on both."""
        rounds, seconds = (2, 2.0) if options["quick"] else (5, 6.0)
        writers = (1,) if connection.vendor == "sqlite" else (1, 4)
        with scratch_database() as environment:
            rates = [_rate(environment, act, count, rounds, seconds) for act in ("service", "bare") for count in writers]
        found = {"database": connection.vendor, "cores": os.cpu_count(), "transactions": rates, "verifier": _verified()}
        met = goals(found)
        self.stdout.write(json.dumps(found | {"goals": met, "met": all(met.values())}, indent=1))
        if not all(met.values()):
            sys.exit(1)


def goals(found: dict[str, Any]) -> dict[str, bool]:
    """Which of the goals are met."""
    costs = [row["cost_percent"] for row in found["transactions"] if row["act"] == "service"]
    return {
        f"a line costs at most {COST_AT_MOST_PERCENT:g} %": bool(costs) and max(costs) <= COST_AT_MOST_PERCENT,
        f"at least {LINES_A_SECOND:,} lines verified a second": found["verifier"]["lines_per_s"] >= LINES_A_SECOND,
    }  # fmt: skip


def _rate(environment: dict[str, str], act: str, writers: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Both rates over all writers and rounds, and the median over rounds of what the log costs."""
    found = [_round(environment, act, writers, seconds) for _ in range(rounds)]
    plain, audited = (statistics.median(one[kind] for one in found) for kind in ("plain", "audited"))
    return {
        "act": act, "writers": writers, "unaudited_per_s": round(plain), "audited_per_s": round(audited), "rounds": rounds,
        "cost_percent": round(100 * statistics.median(1 - one["audited"] / one["plain"] for one in found), 1),
    }  # fmt: skip


def _round(environment: dict[str, str], act: str, writers: int, seconds: float) -> dict[str, float]:
    """Transactions a second of each kind, over all writers."""
    start = time.time() + SECONDS_TO_CONNECT
    command = [sys.executable, "-m", "salus_web.audit.bench", act, str(start), str(seconds)]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(writers)]
    said = [json.loads(process.communicate()[0]) for process in running]
    return {kind: sum(one[kind] / one[f"{kind}_s"] for one in said) for kind in ("plain", "audited")}


def _verified() -> dict[str, Any]:
    """How fast the verifier walks, over lines like those of a work list."""
    lines, last = [], GENESIS
    for place in range(1, LINES + 1):
        line = dict.fromkeys(EXPORTED, "") | {
            "number": place, "place": place, "stripe": 0, "form": FORM, "at": "2026-01-02T03:04:05.678901Z", "previous": last,
            "actor_id": "018f7c1e-5a30-7c3e-9d1a-0a1b2c3d4e5f", "actor_name": "Dr Mira Holt", "role": "clinician",
            "action": "worklist.read", "object_kind": "patient", "object_id": "018f7c1e-5a30-7c3e-9d1a-0a1b2c3d4e5f",
            "patient": f"{place:032x}", "purpose": "care", "outcome": "done", "detail": {},
        }  # fmt: skip
        last = line["digest"] = digest(line)
        lines.append(line)
    started = time.perf_counter()
    walked = walk(lines)
    taken = time.perf_counter() - started
    return {"lines": walked.lines, "seconds": round(taken, 2), "lines_per_s": round(walked.lines / taken)}
