"""The encrypted file store: uploads, pixels, renditions, maps, receipts, bundles. Random names, no URLs.

A blob is written in segments of 1 MiB, each sealed for its own place in its own blob; its plain sha256 is
checked on each read.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from django.core.files.base import ContentFile
from django.core.files.storage import storages

from salus_web.common.encryption import seal, unseal
from salus_web.common.errors import IntegrityBroken

SEGMENT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where a blob lies and what it must be."""

    key: str
    sha256: str
    size_bytes: int


def put(plain: bytes) -> BlobRef:
    """Encrypt and store bytes; returns their reference."""
    key = secrets.token_hex(20)
    body = bytearray()
    for number, start in enumerate(range(0, max(len(plain), 1), SEGMENT_BYTES)):
        sealed = seal(plain[start : start + SEGMENT_BYTES], bound_to=f"vault.{key}.{number}")
        body += len(sealed).to_bytes(4, "big") + sealed
    storages["vault"].save(f"{key[:2]}/{key}", ContentFile(bytes(body)))
    return BlobRef(key=key, sha256=hashlib.sha256(plain).hexdigest(), size_bytes=len(plain))


def get(key: str, *, sha256: str) -> bytes:
    """Read a blob; IntegrityBroken when it is gone, cut, changed or swapped."""
    try:
        with storages["vault"].open(f"{key[:2]}/{key}", "rb") as stream:
            body = stream.read()
    except FileNotFoundError:
        raise IntegrityBroken("A stored file is missing from the vault.") from None
    plain, at, number = bytearray(), 0, 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        plain += unseal(body[at + 4 : at + 4 + size], bound_to=f"vault.{key}.{number}")
        at, number = at + 4 + size, number + 1
    if hashlib.sha256(plain).hexdigest() != sha256:
        raise IntegrityBroken("A stored file is not the one that was stored.")
    return bytes(plain)


def delete(key: str) -> None:
    """Remove a blob that no row refers to any more."""
    storages["vault"].delete(f"{key[:2]}/{key}")
