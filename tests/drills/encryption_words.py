"""The words of the planted strings drill, and the search for them in every form that a program might write. Knows no Django."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

PIXEL_BYTES = 32
HIDDEN = (
    "given name", "family name", "record number", "reason", "note", "description", "file name", "image name", "refused name",
    "refused",
)  # fmt: skip
WORDS_EACH = len(HIDDEN) + 1  # and the pixels
# what stays readable on purpose (docs/adr/0004, 0019): codes, their words, wards, short words of values, ids of resources
READABLE = {
    "ward": "Plainwardzq7", "code": "plaincodezq7", "display": "Plaindisplayzq7", "short word": "plainwordzq7",
    "number system": "urn:plainsystemzq7", "resource id": "plainresourcezq7",
}  # fmt: skip


def planted(seed: str, number: int) -> dict[str, str]:
    """The words of one file: letters that nothing else is made of, and a row of pixels in hexadecimal digits."""
    words = {kind: "Zq" + hashlib.sha256(f"{seed} {number} {kind}".encode()).hexdigest()[:14] for kind in HIDDEN}
    return words | {"pixels": hashlib.sha256(f"{seed} {number} pixels".encode()).hexdigest()}


def forms(plain: bytes) -> set[bytes]:
    """A value as it is, in upper and lower letters, in UTF-16, hexadecimal and base64 (at any of its three offsets)."""
    found = {plain, plain.lower(), plain.upper(), plain.decode("latin-1").encode("utf-16-le"), plain.hex().encode(), plain.hex().upper().encode()}
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + plain)
        # the first and last signs depend on what stands beside
        found.add(coded[4 if offset else 0 : -4])
    return found


def needles(seed: str, count: int) -> dict[bytes, str]:
    """Every form of every planted value, with what it is."""
    found: dict[bytes, str] = {}
    for number in range(count):
        for kind, word in planted(seed, number).items():
            values = [bytes.fromhex(word), bytes(255 - one for one in bytes.fromhex(word))] if kind == "pixels" else [word.encode()]
            for value in values:
                found |= dict.fromkeys(forms(value), f"{kind} of file {number}")
    return found


def found_in(files: Iterable[Path], wanted: dict[bytes, str]) -> list[str]:
    """Which values stand in which files. Every byte is looked at."""
    bodies = [(path.name, path.read_bytes()) for path in files]
    return [f"{what} in {name}" for name, body in bodies for form, what in wanted.items() if form in body]
