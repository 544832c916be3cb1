"""Putting events into the database, with as few statements as there can be. Takes a head, chains, inserts, moves the head.

SQLite has one writer at a time and one stripe. PostgreSQL has sixteen: a writer takes the first whose head nobody holds, so
that writers do not wait for one another, and a sequence gives numbers that grow over all stripes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from django.db import connection

from salus_web.audit.chain import EXPORTED, FORM, GENESIS, digest

STRIPES = 16
_CHUNK = 500
_TAKE = "SELECT id, place, digest FROM audit_head WHERE id = 0"
_TAKE_FREE = """SELECT id, place, digest, ARRAY(SELECT nextval('audit_event_number') FROM generate_series(1, %s))
FROM (SELECT * FROM audit_head ORDER BY id <> %s, id LIMIT 1 FOR UPDATE SKIP LOCKED) AS free"""
_TAKE_OWN = """SELECT id, place, digest, ARRAY(SELECT nextval('audit_event_number') FROM generate_series(1, %s))
FROM (SELECT * FROM audit_head WHERE id = %s FOR UPDATE) AS own"""
_MAKE = f"INSERT INTO audit_head (id, place, digest) VALUES (%s, 0, '{GENESIS}') ON CONFLICT DO NOTHING"  # nosec B608 # a constant of this package
_MOVE = "UPDATE audit_head SET place = %s, digest = %s WHERE id = %s"


@dataclass(frozen=True, slots=True)
class _Taken:
    """A stripe that this transaction holds: where it ends, and the numbers for what is appended."""

    stripe: int
    place: int
    digest: str
    numbers: Sequence[int]


def append(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Append rows (all names but number, place, stripe, previous, form and digest) inside the caller's transaction."""
    with connection.cursor() as cursor:
        is_postgresql = connection.vendor == "postgresql"
        taken = _take_stripe(cursor, len(rows)) if is_postgresql else _take_only(cursor, len(rows))
        last, done = taken.digest, []
        for at, row in enumerate(rows):
            event = {
                **row, "number": taken.numbers[at], "stripe": taken.stripe, "place": taken.place + at + 1, "previous": last,
                "form": FORM,
            }  # fmt: skip
            last = event["digest"] = digest(event)
            done.append(event)
        moved = [taken.place + len(rows), last, taken.stripe]
        if is_postgresql and len(rows) <= _CHUNK:  # one message to the server instead of two
            cursor.execute(f"WITH moved AS ({_MOVE}) {_insert(len(rows))}", [*moved, *_values(done)])
            return done
        for start in range(0, len(done), _CHUNK):
            part = done[start : start + _CHUNK]
            cursor.execute(_insert(len(part)), _values(part))
        cursor.execute(_MOVE, moved)
    return done


def _take_only(cursor: Any, count: int) -> _Taken:
    """SQLite: whoever writes holds the whole database, so the one head is theirs."""
    row = cursor.execute(_TAKE).fetchone()
    if row is None:
        cursor.execute(_MAKE, [0])
        row = (0, 0, GENESIS)
    stripe, place, last = row
    return _Taken(stripe, place, last, range(place + 1, place + count + 1))


def _take_stripe(cursor: Any, count: int) -> _Taken:
    """PostgreSQL: a free head, this connection's own first; when all there are are held, its own one is made or waited for.

    Nobody who holds a head waits for another, because one's own is never skipped; so there is no deadlock over heads.
    """
    own = connection.connection.info.backend_pid % STRIPES
    row = cursor.execute(_TAKE_FREE, [count, own]).fetchone()
    if row is None:
        cursor.execute(_MAKE, [own])
        row = cursor.execute(_TAKE_OWN, [count, own]).fetchone()
    return _Taken(*row)


@lru_cache(maxsize=64)
def _insert(count: int) -> str:
    """The statement for so many events."""
    one = f"({', '.join(['%s'] * len(EXPORTED))})"
    return f"INSERT INTO audit_event ({', '.join(EXPORTED)}) VALUES {', '.join([one] * count)}"  # nosec B608 # names are constants, values are parameters


def _values(events: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The columns' values, in the order of the statement; times and detail as the database holds them."""
    at = connection.ops.adapt_datetimefield_value
    return [
        at(event[name]) if name == "at" else orjson.dumps(event[name]).decode() if name == "detail" else event[name]
        for event in events
        for name in EXPORTED
    ]
