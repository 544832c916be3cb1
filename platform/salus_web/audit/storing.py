"""Putting events into the database, with as few statements as there can be. Takes a head, chains, inserts, moves the head.

SQLite has one writer at a time and one stripe. PostgreSQL has sixteen: a writer takes the first whose head nobody holds, so
that writers do not wait for one another, and a sequence gives numbers that grow over all stripes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import orjson
import psycopg
from django.db import connection

from salus_web.audit.chain import EXPORTED, FIELDS, FORM, GENESIS, GIVEN, digest, pieces

STRIPES = 16
_CHUNK = 500
_FEW = 30
_TAKE = "SELECT id, place, digest FROM audit_head WHERE id = 0"
_FREE = "SELECT * FROM audit_head ORDER BY id <> %s::int, id LIMIT 1 FOR UPDATE SKIP LOCKED"
_TAKE_FREE = f"""SELECT id, place, digest, ARRAY(SELECT nextval('audit_event_number') FROM generate_series(1, %s::int))
FROM ({_FREE}) AS free"""  # nosec B608 # a constant of this file
_TAKE_OWN = """SELECT id, place, digest, ARRAY(SELECT nextval('audit_event_number') FROM generate_series(1, %s::int))
FROM (SELECT * FROM audit_head WHERE id = %s::int FOR UPDATE) AS own"""
_MAKE = f"INSERT INTO audit_head (id, place, digest) VALUES (%s, 0, '{GENESIS}') ON CONFLICT DO NOTHING"  # nosec B608 # a constant of this package
_KNOWN = tuple(name for name in FIELDS if name not in GIVEN)
# one line in one message: the server takes a free head, digests, stores, moves the head; no row comes back when all heads are held
_ALONE = f"""WITH free AS ({_FREE}),
given AS (SELECT id, nextval('audit_event_number') AS number, place + 1 AS place, digest AS previous FROM free),
digested AS (SELECT *, encode(sha256(convert_to(
    %s::text || number || %s::text || place || %s::text || previous || %s::text || id || %s::text, 'UTF8')), 'hex') AS digest FROM given),
moved AS (UPDATE audit_head SET place = digested.place, digest = digested.digest FROM digested WHERE audit_head.id = digested.id)
INSERT INTO audit_event (number, place, previous, stripe, digest, form, {", ".join(_KNOWN)})
SELECT number, place, previous, id, digest, {FORM}, {", ".join(["%s"] * len(_KNOWN))} FROM digested
RETURNING number, place, previous, stripe, digest"""  # nosec B608 # names are constants, values are parameters
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
    if connection.vendor == "postgresql":
        return _append_in_stripe(rows)
    with connection.cursor() as cursor:
        taken = _take_only(cursor, len(rows))
        done = _chained(rows, taken)
        for start in range(0, len(done), _CHUNK):
            part = done[start : start + _CHUNK]
            cursor.execute(_insert(len(part)), _values(part))
        cursor.execute(_MOVE, _moved(done, taken))
    return done


def _append_in_stripe(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """PostgreSQL: a line alone is one message to the server; of several, up to _CHUNK and the move of their head are one."""
    with _prepared_cursor() as cursor:
        if len(rows) == 1 and (alone := _append_alone(cursor, rows[0])) is not None:
            return [alone]
        taken = _take_stripe(cursor, len(rows))
        done = _chained(rows, taken)
        early, late = done[:-_CHUNK], done[-_CHUNK:]
        for start in range(0, len(early), _CHUNK):
            part = early[start : start + _CHUNK]
            cursor.execute(_insert(len(part)), _values(part), prepare=False)
        # a page's few lines come again and again; a long list's number of lines seldom does
        cursor.execute(
            f"WITH moved AS ({_MOVE}) {_insert(len(late))}", [*_moved(done, taken), *_values(late)], prepare=len(late) <= _FEW
        )
    return done


def _append_alone(cursor: _Prepared, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """The commonest line, in one message; None when every head is held."""
    values = _values([row], _KNOWN)
    given = cursor.execute(_ALONE, [_own_stripe(), *pieces(row), *values]).fetchone()
    return None if given is None else {**row, **dict(zip((*GIVEN, "digest"), given, strict=True)), "form": FORM}


class _Prepared:
    """A cursor whose statements the server compiles once per connection. Django's are compiled at every call, which for these
    costs as much as running them. Seen by whoever watches Django's statements."""

    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    def execute(self, sql: str, values: Sequence[Any], *, prepare: bool = True) -> psycopg.Cursor[Any]:
        """Run a statement."""

        def run(sql: Any, values: Any, many: bool, context: Any) -> psycopg.Cursor[Any]:
            return self._cursor.execute(sql, values, prepare=prepare)

        for watcher in reversed(connection.execute_wrappers):
            run = partial(watcher, run)
        return run(sql, values, False, {"connection": connection, "cursor": self._cursor})


@contextmanager
def _prepared_cursor() -> Iterator[_Prepared]:
    """Opened inside a transaction of Django's, on its connection, with its errors."""
    connection.validate_no_broken_transaction()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield _Prepared(cursor)


def _chained(rows: Sequence[Mapping[str, Any]], taken: _Taken) -> list[dict[str, Any]]:
    """The rows as events of this stripe, each holding the digest before."""
    last, done = taken.digest, []
    for at, row in enumerate(rows):
        event = {
            **row, "number": taken.numbers[at], "stripe": taken.stripe, "place": taken.place + at + 1, "previous": last,
            "form": FORM,
        }  # fmt: skip
        last = event["digest"] = digest(event)
        done.append(event)
    return done


def _moved(done: Sequence[Mapping[str, Any]], taken: _Taken) -> list[Any]:
    """Where the stripe ends now, as _MOVE takes it."""
    return [taken.place + len(done), done[-1]["digest"] if done else taken.digest, taken.stripe]


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
    own = _own_stripe()
    row = cursor.execute(_TAKE_FREE, [count, own]).fetchone()
    if row is None:
        cursor.execute(_MAKE, [own], prepare=False)
        row = cursor.execute(_TAKE_OWN, [count, own]).fetchone()
    return _Taken(*row)


def _own_stripe() -> int:
    """The stripe that this connection takes when it can."""
    return int(connection.connection.info.backend_pid % STRIPES)


@lru_cache(maxsize=64)
def _insert(count: int) -> str:
    """The statement for so many events."""
    one = f"({', '.join(['%s'] * len(EXPORTED))})"
    return f"INSERT INTO audit_event ({', '.join(EXPORTED)}) VALUES {', '.join([one] * count)}"  # nosec B608 # names are constants, values are parameters


def _values(events: Sequence[Mapping[str, Any]], names: Sequence[str] = EXPORTED) -> list[Any]:
    """The columns' values, in the order of the statement; times and detail as the database holds them."""
    at = connection.ops.adapt_datetimefield_value
    return [
        at(event[name]) if name == "at" else orjson.dumps(event[name]).decode() if name == "detail" else event[name]
        for event in events
        for name in names
    ]
