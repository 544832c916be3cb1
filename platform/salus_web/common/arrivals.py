"""A blob that arrives in pieces: sealed as it comes, so that no plain byte of it touches the disk and memory holds one
segment of it. It is kept whole or leaves nothing. Knows nothing of requests and uploads."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.core.files import File
from django.core.files.storage import storages

from salus_web.common import vault
from salus_web.common.trouble import check_room

# what a killed process left half done is cleared away after this long
STALE_SECONDS = 24 * 3600


class _Sealed(File):  # type: ignore[type-arg]
    """A finished file of sealed bytes; a storage on the same disk moves it instead of copying it."""

    def temporary_file_path(self) -> str:
        """Where it lies."""
        return str(self.name)


class Arrival:
    """One blob on its way. `write` its pieces, then `finish` or `discard`; both may be called once more without harm."""

    def __init__(self, *, owner: str) -> None:
        self.key, self._owner, self._number = secrets.token_hex(20), owner, 0
        self.size_bytes, self._hash, self._held = 0, hashlib.sha256(), bytearray()
        check_room(0)
        folder = place()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = folder / self.key
        self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._ref: vault.BlobRef | None = None

    def write(self, piece: bytes) -> None:
        """Seal and write what fills whole segments. Raises NoRoom when the disk is almost full, OSError when it is."""
        self._hash.update(piece)
        self.size_bytes += len(piece)
        self._held += piece
        while len(self._held) >= vault.SEGMENT_BYTES:
            check_room(vault.SEGMENT_BYTES)
            self._seal(bytes(self._held[: vault.SEGMENT_BYTES]))
            del self._held[: vault.SEGMENT_BYTES]

    def _seal(self, plain: bytes) -> None:
        self._file.write(vault.segment(plain, self.key, self._number, self._owner))
        self._number += 1

    def finish(self) -> vault.BlobRef:
        """Put the blob into the vault and say where it is."""
        if self._ref is None:
            if self._held or not self._number:
                self._seal(bytes(self._held))
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            with self._path.open("rb") as sealed:
                storages["vault"].save(vault.blob_name(self.key), _Sealed(sealed, str(self._path)))
            self._path.unlink(missing_ok=True)
            vault.owe(vault.blob_name(self.key))
            self._ref = vault.BlobRef(key=self.key, sha256=self._hash.hexdigest(), size_bytes=self.size_bytes)
        return self._ref

    def discard(self) -> None:
        """Leave nothing: neither what was written so far nor, once finished, the blob in the vault."""
        if self._ref is not None:
            vault.delete(self.key)
            self._ref = None
        with suppress(OSError):  # a full disk may refuse to write the rest out; it is thrown away anyhow
            self._file.close()
        self._path.unlink(missing_ok=True)


def place() -> Path:
    """Where sealed pieces lie until they are whole."""
    return Path(settings.SALUS_DATA_DIR) / "arriving"


def stale() -> list[Path]:
    """What killed processes left half done."""
    folder, found = place(), []
    for path in folder.iterdir() if folder.is_dir() else []:
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                found.append(path)
    return found


def clear_stale() -> int:
    """Remove what killed processes left half done; returns how many files there were."""
    paths = stale()
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)
