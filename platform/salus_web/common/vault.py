"""The encrypted file store: uploads, pixels, renditions, maps, receipts, bundles. Random names, no URLs.

A blob is written in segments of 1 MiB, each sealed for its own place in its own blob; its plain sha256 is
checked on each read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from salus_web.common.clock import now
from salus_web.common.durable import sync_all
from salus_web.common.encryption import HEADER_BYTES, KeyName, key_name, seal, unseal
from salus_web.common.errors import IntegrityBroken
from salus_web.common.trouble import check_room

SEGMENT_BYTES = 1 << 20
_LENGTH_BYTES = 4
_HALF_DONE = ".resealing"
_local = threading.local()


class BlobMissing(IntegrityBroken):
    """There is no blob of this name."""


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where a blob lies and what it must be."""

    key: str
    sha256: str
    size_bytes: int


def put(plain: bytes, *, owner: str = "") -> BlobRef:
    """Encrypt and store bytes with the owner's key (`person:<id>`), or the master key; returns their reference.

    Whoever commits a row that names it calls `settle` first. Raises NoRoom when the disk is almost full.
    """
    check_room(len(plain))
    key = secrets.token_hex(20)
    _store_new(blob_name(key), _sealed(plain, key, owner))
    return BlobRef(key=key, sha256=hashlib.sha256(plain).hexdigest(), size_bytes=len(plain))


def get(key: str, *, sha256: str) -> bytes:
    """Read a blob; IntegrityBroken when it is gone, cut, changed or swapped."""
    plain = _opened(key)
    if hashlib.sha256(plain).hexdigest() != sha256:
        raise IntegrityBroken("A stored file is not the one that was stored.")
    return plain


def pieces(key: str, *, sha256: str) -> Iterator[bytes]:
    """A blob's plain bytes, a segment at a time. Whether it is whole is known at its end only: IntegrityBroken comes
    then, and whatever was made of the pieces is thrown away."""
    seen = hashlib.sha256()
    for piece in _segments(key):
        seen.update(piece)
        yield piece
    if seen.hexdigest() != sha256:
        raise IntegrityBroken("A stored file is not the one that was stored.")


def delete(key: str) -> None:
    """Remove a blob that no row refers to any more."""
    storages["vault"].delete(blob_name(key))


def age(key: str) -> timedelta:
    """How long ago a blob was written; nothing for one that has just gone."""
    try:
        return now() - storages["vault"].get_modified_time(blob_name(key))
    except FileNotFoundError:
        return timedelta()


def sealed_with(key: str) -> KeyName:
    """Which key sealed a blob; reads its beginning only."""
    try:
        with storages["vault"].open(blob_name(key), "rb") as stream:
            return key_name(stream.read(_LENGTH_BYTES + HEADER_BYTES)[_LENGTH_BYTES:])
    except FileNotFoundError:
        raise BlobMissing("A stored file is missing from the vault.") from None


def reseal(key: str, *, owner: str = "") -> None:
    """Seal one blob anew under its own name with the owner's or the current master key."""
    with Resealing() as batch:
        batch.add(key, owner=owner)


def settle() -> None:
    """Return when every blob that this thread put is on the disk. Call before the rows that name them are committed."""
    paths = _unsettled()
    sync_all(paths)
    paths.clear()


def folders() -> list[str]:
    """The vault's folders, in order."""
    try:
        return sorted(storages["vault"].listdir("")[0])
    except FileNotFoundError:
        return []


def keys_in(folder: str) -> Iterator[str]:
    """The names of the blobs in one folder."""
    return (name for name in storages["vault"].listdir(folder)[1] if not name.endswith(_HALF_DONE))


def clear_half_done(folder: str) -> None:
    """Remove what a killed sealing anew left. Only for who alone may seal anew: another's halves are still wanted."""
    for name in storages["vault"].listdir(folder)[1]:
        if name.endswith(_HALF_DONE):
            storages["vault"].delete(f"{folder}/{name}")


def blob_name(key: str) -> str:
    """Where in the storage a blob lies."""
    return f"{key[:2]}/{key}"


def _sealed(plain: bytes, key: str, owner: str) -> bytes:
    body = bytearray()
    for number, start in enumerate(range(0, max(len(plain), 1), SEGMENT_BYTES)):
        body += segment(plain[start : start + SEGMENT_BYTES], key, number, owner)
    return bytes(body)


def segment(plain: bytes, key: str, number: int, owner: str) -> bytes:
    """One segment of a blob as it lies in the vault: sealed for its own place, with its length before it."""
    sealed = seal(plain, bound_to=f"vault.{key}.{number}", owner=owner)
    return len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed


def _opened(key: str) -> bytes:
    """A blob's plain bytes. Whether it is whole, only its sha256 says: `get` checks it."""
    return b"".join(_segments(key))


def _segments(key: str) -> Iterator[bytes]:
    """A blob's segments in order, opened."""
    try:
        stream = storages["vault"].open(blob_name(key), "rb")
    except FileNotFoundError:
        raise BlobMissing("A stored file is missing from the vault.") from None
    with stream:
        number = 0
        while head := stream.read(_LENGTH_BYTES):
            yield unseal(stream.read(int.from_bytes(head, "big")), bound_to=f"vault.{key}.{number}")
            number += 1


def _store_new(name: str, body: bytes) -> None:
    """Write a blob whole or leave nothing of it: a full disk must not keep the half that fitted."""
    storage = storages["vault"]
    try:
        storage.save(name, ContentFile(body))
    except OSError:
        with contextlib.suppress(OSError):
            storage.delete(name)
        raise
    owe(name)


def owe(name: str) -> None:
    """A blob was written: `settle` waits for it to be on the disk."""
    path = _path(name)
    if path is not None:
        _unsettled().append(path)


def _unsettled() -> list[Path]:
    """What this thread wrote and did not yet see onto the disk."""
    if getattr(_local, "process", None) != os.getpid():
        _local.process, _local.paths = os.getpid(), []
    found: list[Path] = _local.paths
    return found


def _path(name: str) -> Path | None:
    """Where a blob lies on this machine; None in an object store, which settles by itself."""
    try:
        return Path(storages["vault"].path(name))
    except NotImplementedError:
        return None


class Resealing:
    """Many blobs sealed anew at one flush of the disk. Each is the old or the new one at every moment, never a part."""

    def __init__(self) -> None:
        self._halves: dict[Path, Path] = {}

    def __enter__(self) -> Resealing:
        return self

    def add(self, key: str, *, owner: str = "") -> None:
        """Seal a blob anew under its own name with the owner's or the current master key; in place once the block ends."""
        body, name = _sealed(_opened(key), key, owner), blob_name(key)
        path = _path(name)
        if path is None:
            # an object store replaces an object whole; `save` would choose another name
            storages["vault"]._save(name, ContentFile(body))  # type: ignore[attr-defined]
            return
        if path in self._halves:
            return  # two rows name this blob; the first one's owner has it
        half = self._halves[path] = path.with_name(path.name + _HALF_DONE)
        half.write_bytes(body)
        half.chmod(path.stat().st_mode & 0o777)

    def __exit__(self, kind: object, *reason: object) -> None:
        try:
            if kind is None:
                sync_all(list(self._halves.values()))
                for path, half in self._halves.items():
                    half.replace(path)
        finally:
            for half in self._halves.values():
                half.unlink(missing_ok=True)
