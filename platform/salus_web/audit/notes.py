"""Signed notes: a text, its Ed25519 signature, and the key files. The text is signed as it stands, so nothing is ever written
anew to check it. Standard library and `cryptography` only, because the witness uses it too."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNER, WITNESS = b"salus audit signer 1\n", b"salus audit witness 1\n"  # one key's word is never taken for the other's


class BadNote(Exception):
    """A note, its signature or a key file is not what it should be. The sentence says which."""


@dataclass(frozen=True, slots=True)
class Note:
    """A text (JSON) and its signature (hex)."""

    body: str
    signature: str

    @property
    def digest(self) -> str:
        """The note's name: sha256 (hex) of its text."""
        return hashlib.sha256(self.body.encode()).hexdigest()

    def plain(self) -> dict[str, str]:
        """For a file or a line to the witness."""
        return {"body": self.body, "signature": self.signature}


def read_note(plain: Any) -> Note:
    """A note as a file holds it. Raises BadNote."""
    try:
        body, signature = plain["body"], plain["signature"]
    except (TypeError, KeyError):
        raise BadNote("This is no signed note.") from None
    if not isinstance(body, str) or not isinstance(signature, str):
        raise BadNote("This is no signed note.")
    return Note(body, signature)


def sign(content: Mapping[str, Any], *, key: Ed25519PrivateKey, voice: bytes) -> Note:
    """A note of this content, in the signer's or the witness's voice."""
    body = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return Note(body, key.sign(voice + body.encode()).hex())


def opened(note: Note, *, key: Ed25519PublicKey, voice: bytes) -> dict[str, Any]:
    """The content of a note whose signature holds. Raises BadNote."""
    try:
        key.verify(bytes.fromhex(note.signature), voice + note.body.encode())
        content = json.loads(note.body)
    except (InvalidSignature, ValueError):
        raise BadNote("A signature does not hold.") from None
    if not isinstance(content, dict):
        raise BadNote("A signed note holds no record.")
    return content


def load_or_make_key(path: Path) -> Ed25519PrivateKey:
    """A private key from its file (64 hex digits); made with mode 600, and the public one beside it, when there is none."""
    try:
        return load_key(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process made it in this very moment
        return load_key(path)
    with os.fdopen(handle, "w") as stream:
        stream.write(key.private_bytes_raw().hex() + "\n")
    return key


def load_key(path: Path) -> Ed25519PrivateKey:
    """A private key from its file. Raises FileNotFoundError, and BadNote for a file that holds none."""
    try:
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))
    except ValueError:
        raise BadNote(f"The file {path.name} holds no key (64 hexadecimal digits).") from None


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public half, as its file holds it."""
    return key.public_key().public_bytes_raw().hex()


def public_key(text: str) -> Ed25519PublicKey:
    """A public key from 64 hex digits. Raises BadNote."""
    try:
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(text.strip()))
    except ValueError:
        raise BadNote("This is no public key (64 hexadecimal digits).") from None
