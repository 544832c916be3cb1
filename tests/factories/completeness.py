"""Watches the database connection: every transaction that wrote something must have written a line of the log too.

It sees what reaches the database, so a bulk write, raw SQL and what a worker does count like anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

LINES = "audit_event"
# Tables that are the machine's own bookkeeping: what happens to them says nothing of a person or a record. Each with its reason.
OWN = {
    "audit_event": "the log itself", "audit_head": "the log itself", "audit_checkpoint": "the log's signatures", "audit_countersign": "the witness's",
    "django_session": "a browser's session; its beginning and end are lines", "accounts_signin": "when a session was last seen; its beginning and end are lines",
    "accounts_trycount": "wrong tries, counted; each lock-out is a line", "jobs_outbox": "what is still to be sent",
    "jobs_reconciler": "when lost jobs were last looked for", "jobs_worker": "signs of life", "jobs_measure": "sizes",
    "jobs_job": "leases and progress; what people do with a job, and its end, are lines (tests/web/test_jobs.py)",
    "records_keyrotation": "how far a rotation has come; its beginning and end are lines",
}  # fmt: skip
_WRITES = re.compile(r'\b(?:INSERT INTO|INSERT OR \w+ INTO|REPLACE INTO|DELETE FROM|TRUNCATE(?: TABLE)?|COPY)\s+"?(\w+)|\bUPDATE\s+"?(\w+)"?\s+SET\b', re.I)


@dataclass
class Unit:
    """One transaction of the caller, or one statement outside any: what it wrote, and whether a line of the log was among it."""

    tables: set[str] = field(default_factory=set)
    has_line: bool = False
    first: str = ""

    @property
    def acts(self) -> set[str]:
        """The tables in which something of a person or a record changed."""
        return self.tables - set(OWN)


@dataclass
class Watch:
    """What was written while it watched."""

    units: list[Unit] = field(default_factory=list)
    _open: list[tuple[Any, Unit]] = field(default_factory=list)

    @property
    def written(self) -> set[str]:
        """Every table that changed, but for bookkeeping."""
        return {table for unit in self.units for table in unit.acts}

    @property
    def silent(self) -> list[tuple[list[str], str]]:
        """Transactions that changed something and left no line: their tables, and their first statement."""
        return [(sorted(unit.acts), unit.first) for unit in self.units if unit.acts and not unit.has_line]

    def see(self, statement: str) -> None:
        """One statement that reaches the database."""
        tables = {(found.group(1) or found.group(2)).lower() for found in _WRITES.finditer(statement)}
        if not tables:
            return
        unit = self._unit()
        unit.tables |= tables
        unit.has_line = unit.has_line or LINES in tables
        unit.first = unit.first or (statement[:160] if tables - set(OWN) else "")

    def _unit(self) -> Unit:
        """The unit of the outermost transaction that is not the test's own; a new one for a statement outside any."""
        blocks = [block for block in connection.atomic_blocks if not getattr(block, "_from_testcase", False)]
        if blocks and self._open and self._open[-1][0] is blocks[0]:
            return self._open[-1][1]
        unit = Unit()
        self.units.append(unit)
        self._open = [(blocks[0], unit)] if blocks else []
        return unit


@contextmanager
def watching() -> Iterator[Watch]:
    """Everything that this process writes meanwhile."""
    watch = Watch()

    def wrapper(execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
        done = execute(statement, params, many, context)
        watch.see(statement if isinstance(statement, str) else str(statement))
        return done

    with connection.execute_wrapper(wrapper):
        yield watch
