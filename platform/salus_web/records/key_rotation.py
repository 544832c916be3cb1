"""Moving everything sealed to the current master key while the site writes. Killed anywhere, it goes on where it was.

Three kinds of work: persons' keys are wrapped anew; what an earlier version sealed directly with a master key goes under
its owner's key; what belongs to no one person (models, releases) is sealed anew with the current master key.
"""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Substr

from salus_web.audit.services import Act, record
from salus_web.common import keyring, vault
from salus_web.common.encryption import HEADER_BYTES, key_name
from salus_web.common.errors import IntegrityBroken, StateConflict
from salus_web.common.keys import key_set, lag_seconds
from salus_web.records.models import KeyRotation
from salus_web.records.personal_keys import finish_destroying
from salus_web.records.sealing import (
    BlobColumn,
    SealedTable,
    blob_columns,
    columns_read,
    rows_after,
    seal_blobs_anew,
    seal_rows_anew,
    sealed_tables,
)

ROWS_AT_ONCE, ROWS_AT_MOST = 50, 800
PASSES_AT_MOST = 5
HELD_SECONDS = 0.4  # about how long one step holds SQLite's only lock for writing
GAP_SECONDS = 0.12  # a waiting writer tries again every 0.1 s; without a gap it can wait for ever


class Pace:
    """Steps as large as keep the site writing: a step that took long is followed by a smaller one."""

    def __init__(self) -> None:
        self.rows = ROWS_AT_ONCE

    @contextmanager
    def step(self) -> Iterator[None]:
        """Around the work of one step."""
        started = time.monotonic()
        yield
        spent = time.monotonic() - started
        if spent > HELD_SECONDS:
            self.rows = max(1, int(self.rows * HELD_SECONDS / spent))
        elif spent < HELD_SECONDS / 2:
            self.rows = min(2 * self.rows, ROWS_AT_MOST)

    def let_others_write(self) -> None:
        """Only SQLite has one writer at a time, and gives the lock to whoever asks at the right moment."""
        if connection.vendor == "sqlite":
            time.sleep(GAP_SECONDS)


@dataclass
class Rotated:
    """What a rotation did: values and keys moved, places that do not open, and the uses of each key at the end."""

    current: str
    moved: int = 0
    broken: list[str] = field(default_factory=list)
    uses: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def unused(self) -> list[str]:
        """Old keys that nothing uses any more; none while something does not open, because that is not looked into."""
        return [] if self.broken else sorted(name for name in key_set().keys if name != self.current and not self.uses.get(name))


Say = Callable[[str], None]


def rotate(*, by: Any, say: Say = lambda words: None) -> Rotated:
    """Bring everything under the current key; returns what was done. Raises StateConflict while another rotation runs."""
    with _alone():
        finish_destroying(by=by)
        done, started = Rotated(key_set().current), time.monotonic()
        record(Act("keys.rotate", "key", done.current), by=by)
        for number in range(PASSES_AT_MOST):
            _one_pass(done, say)
            if number == 0:
                _wait_for_others(started, say)
            say("looking for what is left")
            done.uses = uses_of_masters()
            if done.broken or not any(name != done.current and count for name, count in done.uses.items()):
                break
            KeyRotation.objects.all().delete()
        finished = {"moved": done.moved, "unused": done.unused, "broken": len(done.broken)}
        record(Act("keys.rotated", "key", done.current, detail=finished), by=by)
        return done


def _one_pass(done: Rotated, say: Say) -> None:
    """Every key, table, blob column and vault folder once, each from where it was left."""
    say("wrapping keys anew")
    while number := keyring.rewrap():
        done.moved += number
    for table in sealed_tables():
        _walk_rows(table, columns_read(table), partial(seal_rows_anew, table), done, say)
    for column in blob_columns():
        read = [column.column, column.owner.partition(":")[2]]
        _walk_rows(column, read, partial(seal_blobs_anew, column), done, say)
    for folder in vault.folders():
        _walk_folder(folder, done)
    say(f"moved {done.moved:,} so far")


def _walk_rows(
    what: SealedTable | BlobColumn, read: list[str], seal: Callable[[list[Any]], tuple[int, list[str]]], done: Rotated, say: Say
) -> None:
    """One table in batches; each batch and the note of where it ended are one transaction."""
    cursor, pace = _cursor(what.place, done.current), Pace()
    while not cursor.finished:
        at_once = pace.rows
        with transaction.atomic(), pace.step():
            rows = rows_after(what.model, cursor.after, at_once, read)
            moved, broken = seal(rows)
            cursor.finished, cursor.moved = len(rows) < at_once, cursor.moved + moved
            cursor.after = str(rows[-1].pk) if rows else cursor.after
            # a place with a fault is looked at again by the next run
            cursor.finished = cursor.finished and not broken
            cursor.save()
        done.moved += moved
        done.broken += broken
        if broken and len(rows) < at_once:
            break
        pace.let_others_write()
    if cursor.moved:
        say(f"{what.place}: {cursor.moved:,} moved")


def _walk_folder(folder: str, done: Rotated) -> None:
    """Blobs of a vault folder that are still under an old master key and have no owner."""
    cursor = _cursor(f"vault/{folder}", done.current)
    if cursor.finished:
        return
    broken = []
    vault.clear_half_done(folder)
    with vault.Resealing() as batch:
        for key in vault.keys_in(folder):
            try:
                name = vault.sealed_with(key)
                if name.master and name.master != done.current:
                    batch.add(key)
                    cursor.moved += 1
                    done.moved += 1
            except vault.BlobMissing:
                continue  # removed since the folder was listed
            except IntegrityBroken:
                broken.append(f"vault/{folder}/{key}")
    done.broken += broken
    cursor.finished = not broken
    cursor.save()


def _cursor(place: str, key: str) -> KeyRotation:
    """Where a place was left; from its beginning for another key."""
    found = KeyRotation.objects.filter(pk=place).first()
    return found if found is not None and found.key_name == key else KeyRotation(place=place, key_name=key)


def uses_of_masters() -> dict[str, Counter[str]]:
    """Per master key where it is used: persons' keys it wraps, columns and blobs it seals directly. Looks at everything."""
    found: dict[str, Counter[str]] = {}

    def note(master: str, place: str, number: int = 1) -> None:
        found.setdefault(master, Counter())[place] += number

    for master, number in keyring.masters_in_use().items():
        note(master, "persons' keys", number)
    for table in sealed_tables():
        for one in table.fields:
            for head in _heads(table, one.column):
                if master := key_name(head).master:
                    note(master, f"{table.place}.{one.column}")
    for folder in vault.folders():
        for key in vault.keys_in(folder):
            try:
                if master := vault.sealed_with(key).master:
                    note(master, "vault")
            except vault.BlobMissing:
                continue
            except IntegrityBroken:
                note("", "vault")
    return found


def _heads(table: SealedTable, column: str) -> Iterator[bytes]:
    """The first bytes of every value of a column."""
    rows = table.model._base_manager.exclude(**{column: b""}).order_by()
    # on SQLite and PostgreSQL alike, a part of a binary value is taken by its bytes
    heads = rows.annotate(head=Substr(column, 1, HEADER_BYTES, output_field=table.model._meta.get_field(column)))
    return (bytes(head) for head in heads.values_list("head", flat=True).iterator(chunk_size=5000))


def _wait_for_others(started: float, say: Say) -> None:
    """Until every running process has seen the current key: before that, one may still seal with an older."""
    lag = lag_seconds()
    if lag == float("inf"):
        say("the environment names the current key: processes started before it changed must be started anew")
        return
    left = started + lag + 1 - time.monotonic() if lag else 0.0
    if left > 0:
        say(f"waiting {left:.0f} s until every process has seen the key")
        time.sleep(left)


@contextmanager
def _alone() -> Iterator[None]:
    """One rotation at a time; a killed one lets go by itself."""
    path = keyring.key_file().with_name("rotation.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateConflict("A rotation of keys is running already.") from None
        yield


def compact() -> None:
    """Write a SQLite database anew, so that no free page of it keeps what was there before. Others wait meanwhile."""
    if connection.vendor == "sqlite" and "mode=memory" not in str(settings.DATABASES["default"]["NAME"]):
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
