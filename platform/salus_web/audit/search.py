"""Searching the log so that a page costs the same at a thousand lines and at a million.

A search walks one index from its newest line on and looks at the rest of what is asked at each line. Which index, small probes say:
the one with the fewest lines that fit. Where none is rare, the walk ends after a stretch, and the page says how far it looked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from salus_web.audit.models import Event
from salus_web.audit.selectors import PAGE, Wanted

STRETCHES = (500, 20_000)  # lines that one page walks over: first a few, then at most so many
FEW = 500  # an index with fewer fitting lines than this is walked whole
# column: what the index leaves out, as SQL that the planner knows it by
COLUMNS = {
    "patient": "", "outcome": "NOT (outcome = 'done')", "purpose": "NOT (purpose IN ('', 'care'))", "actor_id": "", "action": "",
}  # fmt: skip
COMMON = {"outcome": {"done"}, "purpose": {"", "care"}}
_NEWEST = "ORDER BY at DESC, number DESC"


@dataclass(frozen=True, slots=True)
class Found:
    """A page of lines, newest first. `next_before` continues it; `looked_back_to` is set where the walk ended before the page was full."""

    rows: list[Event]
    next_before: int | None = None
    looked_back_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Sql:
    """Conditions and their values."""

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def and_also(self, condition: str, *values: Any) -> _Sql:
        return _Sql((*self.conditions, condition), (*self.values, *values)) if condition else self

    @property
    def where(self) -> str:
        return " AND ".join(self.conditions) or "1 = 1"


def find(*, wanted: Wanted) -> Found:
    """A page of the lines that fit, newest first (1 to 4 queries, and up to 5 small probes where two things are asked at once)."""
    walk, rest = _plan(wanted, _times(wanted))
    if not rest.conditions:
        rows = _events(f"SELECT * FROM audit_event WHERE {walk.where} {_NEWEST} LIMIT {PAGE + 1}", walk.values)  # nosec B608 # constants of this file
        return Found(rows[:PAGE], rows[PAGE - 1].number if len(rows) > PAGE else None)
    for stretch in STRETCHES:
        rows = _near(walk, rest, stretch)
        if len(rows) > PAGE:
            return Found(rows[:PAGE], rows[PAGE - 1].number)
    last = _events(f"SELECT * FROM audit_event WHERE {walk.where} {_NEWEST} LIMIT 1 OFFSET {STRETCHES[-1] - 1}", walk.values)  # nosec B608
    return Found(rows, last[0].number, last[0].at) if last else Found(rows)


def _near(walk: _Sql, rest: _Sql, stretch: int) -> list[Event]:
    """Those of the newest lines of a walk that fit the rest as well."""
    near = f"SELECT * FROM audit_event WHERE {walk.where} {_NEWEST} LIMIT {stretch}"  # nosec B608 # constants of this file
    return _events(f"SELECT * FROM ({near}) AS near WHERE {rest.where} {_NEWEST} LIMIT {PAGE + 1}", (*walk.values, *rest.values))  # nosec B608


def find_all(*, wanted: Wanted, at_most: int) -> list[Event]:
    """Every line that fits, newest first, up to a number (walks as far as it must)."""
    walk, rest = _plan(wanted, _times(wanted))
    both = _Sql((*walk.conditions, *rest.conditions), (*walk.values, *rest.values))
    return _events(f"SELECT * FROM audit_event WHERE {both.where} {_NEWEST} LIMIT {int(at_most)}", both.values)  # nosec B608


def _events(statement: str, values: tuple[Any, ...]) -> list[Event]:
    return list(Event.objects.raw(statement, values))


def _times(wanted: Wanted) -> _Sql:
    """The stretch of time asked for, and where an earlier page ended."""
    at = connection.ops.adapt_datetimefield_value
    found = _Sql()
    if wanted.since is not None:
        found = found.and_also("at >= %s", at(wanted.since))
    if wanted.until is not None:
        found = found.and_also("at < %s", at(wanted.until))
    if wanted.before_number is not None:
        ended = Event.objects.filter(number=wanted.before_number).values_list("at", flat=True).first()
        found = found.and_also("(at, number) < (%s, %s)", at(ended), wanted.before_number) if ended else found
    return found


def _plan(wanted: Wanted, times: _Sql) -> tuple[_Sql, _Sql]:
    """What is walked, and what is looked at on the way."""
    asked = {name: value for name, value in asked_of(wanted).items() if value}
    indexed = [name for name, value in asked.items() if value not in COMMON.get(name, set())]
    chosen = min(indexed, key=lambda name: _probe(name, asked[name], times)) if len(indexed) > 1 else "".join(indexed)
    walk, rest = times, _Sql()
    for name, value in asked.items():
        if name == chosen:
            walk = walk.and_also(f"{name} = %s", value).and_also(COLUMNS[name])
        else:
            rest = rest.and_also(f"{name} = %s", value)
    return walk, rest


def asked_of(wanted: Wanted) -> dict[str, str]:
    """What is asked of each column."""
    return {
        "patient": wanted.patient, "outcome": wanted.outcome, "purpose": wanted.purpose, "actor_id": wanted.person, "action": wanted.action,
    }  # fmt: skip


def _probe(name: str, value: str, times: _Sql) -> int:
    """How many lines an index has for this, counted up to a few."""
    sql = times.and_also(f"{name} = %s", value).and_also(COLUMNS[name])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM audit_event WHERE {sql.where} {_NEWEST} LIMIT {FEW}) AS few", sql.values)  # nosec B608
        return int(cursor.fetchone()[0])
