"""Reading the whole log for the verifier and for exports: lines in the form that was digested, heads, signed notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from salus_web.audit.chain import EXPORTED, instant
from salus_web.audit.models import Checkpoint, Head
from salus_web.audit.notes import Note

_CHUNK = 5_000
_LINES = f"SELECT {', '.join(EXPORTED)} FROM audit_event WHERE stripe = %s AND place > %s AND place <= %s ORDER BY place LIMIT {_CHUNK}"  # nosec B608 # constants of this package
_BEYOND = """SELECT e.stripe, e.place FROM audit_event e LEFT JOIN audit_head h ON h.id = e.stripe
WHERE e.place > coalesce(h.place, 0) ORDER BY e.stripe, e.place LIMIT 1"""
_AT, _DETAIL, _FORM = EXPORTED.index("at"), EXPORTED.index("detail"), EXPORTED.index("form")


def heads() -> dict[int, tuple[int, str]]:
    """The end of every stripe: place and digest (1 query)."""
    return {row.id: (row.place, row.digest) for row in Head.objects.all()}


def lines(ends: Mapping[int, tuple[int, str]], *, report: Callable[[int], None] | None = None) -> Iterator[dict[str, Any]]:
    """Every line up to these ends, stripe by stripe, in the form that was digested. Holds no transaction open."""
    done = 0
    for stripe in sorted(ends):
        place = 0
        while rows := _rows(_LINES, [stripe, place, ends[stripe][0]]):
            for row in rows:
                yield _line(row)
            place = rows[-1][EXPORTED.index("place")]
            done += len(rows)
            if report:
                report(done)


def _rows(statement: str, values: list[Any]) -> list[Any]:
    with connection.cursor() as cursor:
        return cursor.execute(statement, values).fetchall()


def _line(row: Any) -> dict[str, Any]:
    """A row with its time and detail as they were digested."""
    event = dict(zip(EXPORTED, row, strict=True))
    at, detail = row[_AT], row[_DETAIL]
    if isinstance(at, str):  # SQLite's text: naive UTC, and without a fraction when that is zero
        at = f"{at[:10]}T{at[11:]}Z" if len(at) == 26 else instant(datetime.fromisoformat(f"{at}+00:00"))
    event["at"] = instant(at)
    event["detail"] = {} if detail == "{}" else orjson.loads(detail)
    return event


def beyond_heads() -> tuple[int, int] | None:
    """A line behind the head of its stripe, which no writer of ours leaves (1 query, so one moment)."""
    found = _rows(_BEYOND, [])
    return (found[0][0], found[0][1]) if found else None


def signed_notes() -> Iterator[tuple[Note, bytes]]:
    """Every signed note of the database with its marks, in the order they were made."""
    rows = Checkpoint.objects.order_by("pk").values_list("body", "signature", "marks")
    for body, signature, marks in rows.iterator(chunk_size=500):
        yield Note(body, signature), bytes(marks)
