"""Encryption of fields and files, and blind indexes. Holds no keys: they come from keys (masters) and keyring (owners).

AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce. The associated data binds a ciphertext to the
table, column and row it was written for, so a swapped one does not open.

A sealed value begins with the name of its key: for an owner's key the byte 0x80 and the key's 16 bytes, for a master
key its length (at most 32) and its name. Then nonce, ciphertext and tag.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from salus_web.common.errors import IntegrityBroken
from salus_web.common.keyring import ID_BYTES, opening_key, sealing_key
from salus_web.common.keys import cipher, derived, key_set, master_key

_NONCE_BYTES = 12
_OWNED = 0x80
HEADER_BYTES = 34


@dataclass(frozen=True, slots=True)
class KeyName:
    """Which key sealed a value: a master key's name, or the random name (hex) of an owner's key."""

    master: str = ""
    owned: str = ""


def seal(plain: bytes, *, bound_to: str, owner: str = "") -> bytes:
    """Encrypt bytes, bound to a place such as `records_patient.name.<id>`, with the owner's key (`person:<id>`) or,
    without an owner, with the current master key. The result names its key. Raises KeyGone for a destroyed key."""
    nonce = os.urandom(_NONCE_BYTES)
    if owner:
        key = sealing_key(owner)
        return bytes([_OWNED]) + key.id + nonce + key.cipher.encrypt(nonce, plain, bound_to.encode())
    masters = key_set()
    body = cipher(masters.keys[masters.current], "data").encrypt(nonce, plain, bound_to.encode())
    return bytes([len(masters.current)]) + masters.current.encode() + nonce + body


def unseal(sealed: bytes | memoryview, *, bound_to: str) -> bytes:
    """Decrypt what `seal` made for the same place; IntegrityBroken when anything was changed or moved."""
    raw = bytes(sealed)
    if len(raw) < 2 + _NONCE_BYTES:
        raise IntegrityBroken("A stored encrypted value is cut short.")
    opener, start = _opener(raw)
    try:
        return opener.decrypt(raw[start : start + _NONCE_BYTES], raw[start + _NONCE_BYTES :], bound_to.encode())
    except (InvalidTag, ValueError):
        raise IntegrityBroken("A stored encrypted value was changed, moved or belongs to another row.") from None


def _opener(raw: bytes) -> tuple[AESGCM, int]:
    """The cipher a sealed value names, and where its nonce begins."""
    if raw[0] == _OWNED:
        return opening_key(raw[1 : 1 + ID_BYTES]).cipher, 1 + ID_BYTES
    return cipher(master_key(raw[1 : 1 + raw[0]].decode("ascii", "replace")), "data"), 1 + raw[0]


def key_name(sealed: bytes | memoryview) -> KeyName:
    """Which key sealed this; its first 34 bytes are enough. Opens nothing."""
    raw = bytes(sealed[:HEADER_BYTES])
    if not raw:
        raise IntegrityBroken("A stored encrypted value is cut short.")
    if raw[0] == _OWNED:
        return KeyName(owned=raw[1 : 1 + ID_BYTES].hex())
    return KeyName(master=raw[1 : 1 + raw[0]].decode("ascii", "replace"))


def blind_index(value: str, *, purpose: str) -> str:
    """Keyed hash (HMAC-SHA-256, hex) of a normalised identifier, for equality search only."""
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    key = derived(settings.SALUS_INDEX_KEY, f"index:{purpose}")
    return hmac.new(key, folded.encode(), hashlib.sha256).hexdigest()


def keyed_hash(value: bytes, *, purpose: str) -> str:
    """Keyed hash (hex) of bytes, so that the log can hold proof of a value without the value."""
    return hmac.new(derived(settings.SALUS_INDEX_KEY, purpose), value, hashlib.sha256).hexdigest()
