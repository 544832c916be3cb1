"""Sealed streams: what leaves for a backup is enciphered as it is written, and cannot be cut, swapped or mixed unseen.

A stream is a row of segments of at most 1 MiB, AES-256-GCM each. A segment is bound to its backup, its file, its place and
to whether it is the last, so that a missing end is found as surely as a changed byte.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from salus_web.common.errors import IntegrityBroken
from salus_web.common.key_sources import read_private
from salus_web.common.keys import derived

SEGMENT_BYTES = 1 << 20
NONCE_BYTES = 12
_LENGTH_BYTES = 4
_LAST = 1 << 31
_HEXADECIMAL = 64


def read_key(path: Path) -> str:
    """The backup key: 64 hexadecimal digits in a file that only its owner reads. Raises KeyTrouble or IntegrityBroken."""
    text = read_private(path)
    if len(text) != _HEXADECIMAL or set(text.lower()) - set("0123456789abcdef"):
        raise IntegrityBroken(f"{path.name} is no backup key: it must hold 64 hexadecimal digits and nothing else.")
    return text


def _cipher(key: str) -> AESGCM:
    return AESGCM(derived(key, "backup:seal"))


class Sealer:
    """A file that is written sealed. `finish` writes the last segment; without it the file is not whole, and says so."""

    def __init__(self, path: Path, *, key: str, bound_to: str) -> None:
        self._file = path.open("xb")
        self._cipher, self._bound_to, self._number = _cipher(key), bound_to, 0
        self._waiting, self._digest, self.size_bytes = bytearray(), hashlib.sha256(), 0

    def write(self, plain: bytes) -> int:
        """Take plain bytes; whole segments go to the file."""
        self._waiting += plain
        while len(self._waiting) > SEGMENT_BYTES:
            self._segment(bytes(self._waiting[:SEGMENT_BYTES]), last=False)
            del self._waiting[:SEGMENT_BYTES]
        return len(plain)

    def finish(self) -> str:
        """Write the end and make sure that it is on the disk. Returns the sha256 of the sealed file."""
        self._segment(bytes(self._waiting), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._digest.hexdigest()

    def _segment(self, plain: bytes, *, last: bool) -> None:
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, plain, _place(self._bound_to, self._number, last))
        body = (len(sealed) | (_LAST if last else 0)).to_bytes(_LENGTH_BYTES, "big") + sealed
        self._file.write(body)
        self._digest.update(body)
        self.size_bytes += len(body)
        self._number += 1


class Opener:
    """A sealed file that is read plain. Raises IntegrityBroken, naming the file, where it is not what was sealed."""

    def __init__(self, path: Path, *, key: str, bound_to: str) -> None:
        self._file, self._name = path.open("rb"), path.name
        self._cipher, self._bound_to, self._number = _cipher(key), bound_to, 0
        self._waiting, self._ended = b"", False

    def read(self, size: int = -1) -> bytes:
        """The next bytes, empty at the end."""
        while not self._ended and (size < 0 or len(self._waiting) < size):
            self._waiting += self._segment()
        size = len(self._waiting) if size < 0 else size
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _segment(self) -> bytes:
        head = self._file.read(_LENGTH_BYTES)
        if len(head) != _LENGTH_BYTES:
            raise IntegrityBroken(f"{self._name} is cut short.")
        number = int.from_bytes(head, "big")
        size, last = number & ~_LAST, bool(number & _LAST)
        sealed = self._file.read(size) if size <= SEGMENT_BYTES + 64 else b""
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(self._bound_to, self._number, last))
        except (InvalidTag, ValueError):
            raise IntegrityBroken(f"{self._name} does not open: it was changed or cut, or this is not its key.") from None
        self._ended, self._number = last, self._number + 1
        return plain


def _place(bound_to: str, number: int, last: bool) -> bytes:
    return f"{bound_to}/{number}/{'last' if last else 'more'}".encode()


def sync_folder(path: Path) -> None:
    """Make sure that the names in a folder are on the disk too."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
