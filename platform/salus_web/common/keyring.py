"""Keys of one owner each (a person, an upload), wrapped by a master key, in a file of their own outside the database.

They lie apart so that a copy of the database or of the vault never holds them: once an owner's key is destroyed here,
everything sealed with it is noise, in every copy. Who may destroy one is decided elsewhere (records.personal_keys).
"""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from salus_web.common.clock import now
from salus_web.common.errors import IntegrityBroken
from salus_web.common.key_sources import KeyTrouble
from salus_web.common.keys import cipher, key_set, master_key

ID_BYTES = 16
CACHED_AT_MOST = 4096
# another process goes on with a destroyed key for at most this long
CACHED_SECONDS = 30.0
WAIT_SECONDS = 30  # for another process at the file
_NONCE_BYTES = 12
_TABLES = """
CREATE TABLE IF NOT EXISTS keys (
    id BLOB PRIMARY KEY, owner TEXT NOT NULL UNIQUE, master TEXT NOT NULL, wrapped BLOB, made_at TEXT NOT NULL, destroyed_at TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (owner TEXT NOT NULL, person TEXT NOT NULL, PRIMARY KEY (person, owner)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_by_master ON keys (master) WHERE wrapped IS NOT NULL;
"""


class KeyGone(IntegrityBroken):
    """The key was destroyed, and with it everything that it sealed."""


@dataclass(frozen=True, slots=True)
class OwnedKey:
    """An unwrapped key: its random name and its cipher."""

    id: bytes
    cipher: AESGCM


_local = threading.local()
_cache: OrderedDict[str | bytes, tuple[OwnedKey, float]] = OrderedDict()
_lock = threading.Lock()


def key_file() -> Path:
    """Where the owners' keys lie."""
    return Path(settings.SALUS_PERSON_KEYS_FILE or Path(settings.SALUS_DATA_DIR) / "person-keys.sqlite3")


def _link() -> sqlite3.Connection:
    """This thread's connection; a forked child opens its own."""
    path, mine = key_file(), (os.getpid(), str(key_file()))
    if getattr(_local, "mine", None) == mine and path.exists():
        return _local.link
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyTrouble(f"{path} can be read by other users of this machine. Run: chmod 600 {path}")
    link = sqlite3.connect(path, timeout=WAIT_SECONDS, isolation_level=None)
    _write_ahead(link)
    link.execute("PRAGMA synchronous=FULL")
    link.execute("PRAGMA secure_delete=ON")
    link.executescript(_TABLES)
    _local.link, _local.mine = link, mine
    return link


def _write_ahead(link: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log. Of two that open a new file at once each may hold what the other needs; SQLite
    then refuses one at once instead of letting it wait, so the waiting is done here."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            link.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)


@contextmanager
def _change() -> Iterator[sqlite3.Connection]:
    """One write to the key file, whole or not at all."""
    link = _link()
    link.execute("BEGIN IMMEDIATE")
    try:
        yield link
    except BaseException:
        link.execute("ROLLBACK")
        raise
    link.execute("COMMIT")


def sealing_key(owner: str) -> OwnedKey:
    """The key that seals for this owner, made on first use. Raises KeyGone when it was destroyed."""
    found = _cached(owner)
    if found is None:
        name = _one_form(owner)
        row = _row(name) or _make(name)
        found = _kept(owner, row)
    return found


def _one_form(owner: str) -> str:
    """`person:<id>` with the id as UUIDs are written. Raises ValueError where there is none: a row without its person."""
    kind, _, number = owner.partition(":")
    return f"{kind}:{UUID(number)}"


def opening_key(key_id: bytes) -> OwnedKey:
    """The key of this name. Raises KeyGone when it was destroyed, IntegrityBroken when it was never here."""
    found = _cached(key_id)
    if found is None:
        row = _link().execute("SELECT id, owner, master, wrapped FROM keys WHERE id = ?", (key_id,)).fetchone()
        if row is None:
            raise IntegrityBroken("A value is sealed with a key that is not in this installation's file of persons' keys.")
        found = _kept(row[1], row)
    return found


def _row(owner: str) -> tuple[bytes, str, str, bytes | None] | None:
    return _link().execute("SELECT id, owner, master, wrapped FROM keys WHERE owner = ?", (owner,)).fetchone()


def _make(owner: str) -> tuple[bytes, str, str, bytes | None]:
    """A new key; where another process was quicker, its key."""
    make_missing([owner])
    row = _row(owner)
    assert row is not None
    return row


def make_missing(owners: Iterable[str]) -> None:
    """A key for each of these owners who has none, all at one flush of the disk: for whoever seals for many at once."""
    names, link = sorted({_one_form(owner) for owner in owners}), _link()
    names = [name for name in names if not link.execute("SELECT 1 FROM keys WHERE owner = ?", (name,)).fetchone()]
    if not names:
        return
    master, moment = key_set().current, now().isoformat()
    ids = [os.urandom(ID_BYTES) for _ in names]
    rows = [(key, name, master, _wrap(AESGCM.generate_key(bit_length=256), name, key, master), moment) for key, name in zip(ids, names, strict=True)]
    with _change() as link:
        link.executemany("INSERT OR IGNORE INTO keys (id, owner, master, wrapped, made_at) VALUES (?, ?, ?, ?, ?)", rows)


def _place(owner: str, key_id: bytes) -> bytes:
    return f"key.{owner}.{key_id.hex()}".encode()


def _wrap(key: bytes, owner: str, key_id: bytes, master: str) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher(master_key(master), "wrap").encrypt(nonce, key, _place(owner, key_id))


def _unwrap(row: tuple[bytes, str, str, bytes | None]) -> bytes:
    key_id, owner, master, wrapped = row
    if wrapped is None:
        raise KeyGone("The key of this person's data was destroyed. What it sealed cannot be read again by anybody.")
    try:
        opened = cipher(master_key(master), "wrap")
        return opened.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], _place(owner, key_id))
    except InvalidTag:
        raise IntegrityBroken("A person's key was changed or belongs to somebody else.") from None


def _cached(name: str | bytes) -> OwnedKey | None:
    with _lock:
        found = _cache.get(name)
        if found is None:
            return None
        if found[1] < time.monotonic():
            del _cache[name]
            return None
        _cache.move_to_end(name)
        return found[0]


def _kept(owner: str, row: tuple[bytes, str, str, bytes | None]) -> OwnedKey:
    """Unwrap, and keep for a while under both names."""
    found = OwnedKey(row[0], AESGCM(_unwrap(row)))
    until = time.monotonic() + CACHED_SECONDS
    with _lock:
        _cache[owner] = _cache[found.id] = (found, until)
        while len(_cache) > 2 * CACHED_AT_MOST:
            _cache.popitem(last=False)
    return found


def forget() -> None:
    """Drop every unwrapped key this process holds."""
    with _lock:
        _cache.clear()


def note_holds(owner: str, *, persons: Sequence[str]) -> None:
    """Remember that what this owner's key seals (a raw upload) holds data of these persons: it goes when one of them does."""
    if not persons:
        return
    with _change() as link:
        link.executemany("INSERT OR IGNORE INTO holds (owner, person) VALUES (?, ?)", _holdings(owner, persons))


def _holdings(owner: str, persons: Sequence[str]) -> list[tuple[str, str]]:
    return [(_one_form(owner), _one_form(person)) for person in persons]


def destroy(person: str) -> int:
    """Destroy a person's key, for ever, and the keys of the raw uploads that hold them; returns how many keys went."""
    moment, person = now().isoformat(), _one_form(person)
    gone = "UPDATE keys SET wrapped = NULL, destroyed_at = ? WHERE wrapped IS NOT NULL AND "
    with _change() as link:
        # a person who had no key yet gets none later either
        link.execute(
            "INSERT OR IGNORE INTO keys (id, owner, master, made_at, destroyed_at) VALUES (?, ?, '', ?, ?)",
            (os.urandom(ID_BYTES), person, moment, moment),
        )
        number = link.execute(gone + "owner = ?", (moment, person)).rowcount
        number += link.execute(gone + "owner IN (SELECT owner FROM holds WHERE person = ?)", (moment, person)).rowcount  # nosec B608 # two literals; values are parameters
    forget()
    # the write-ahead log still holds the old page until it is folded in and cut
    _link().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return number


def holding(person: str) -> list[str]:
    """The owners (raw uploads) whose key seals data of this person too."""
    rows = _link().execute("SELECT owner FROM holds WHERE person = ? ORDER BY owner", (_one_form(person),)).fetchall()
    return [row[0] for row in rows]


def destroyed_people() -> frozenset[str]:
    """The ids of all persons whose key was destroyed."""
    rows = _link().execute("SELECT owner FROM keys WHERE wrapped IS NULL AND owner LIKE 'person:%'").fetchall()
    return frozenset(row[0].partition(":")[2] for row in rows)


def is_destroyed(person: str) -> bool:
    """Whether this person's key was destroyed."""
    row = _row(_one_form(person))
    return row is not None and row[3] is None


def rewrap(*, at_most: int = 500) -> int:
    """Wrap keys that older master keys wrap with the current one; returns how many were left to do before this call."""
    current = key_set().current
    with _change() as link:
        rows = link.execute(
            "SELECT id, owner, master, wrapped FROM keys WHERE wrapped IS NOT NULL AND master <> ? LIMIT ?", (current, at_most)
        ).fetchall()
        again = [(current, _wrap(_unwrap(row), row[1], row[0], current), row[0]) for row in rows]
        link.executemany("UPDATE keys SET master = ?, wrapped = ? WHERE id = ?", again)
    return len(rows)


def masters_in_use() -> dict[str, int]:
    """How many keys each master key wraps."""
    return dict(_link().execute("SELECT master, count(*) FROM keys WHERE wrapped IS NOT NULL GROUP BY master").fetchall())


def count_keys() -> tuple[int, int]:
    """How many keys there are, and how many were destroyed."""
    live, gone = _link().execute("SELECT count(wrapped), sum(wrapped IS NULL) FROM keys").fetchone()
    return live, gone or 0


def copy_to(path: Path) -> None:
    """A whole copy of the key file while it is in use. Copies must not outlive their term (docs/administrator/keys.md)."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with sqlite3.connect(path) as target:
        _link().backup(target)
    target.close()
