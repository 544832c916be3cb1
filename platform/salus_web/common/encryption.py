"""Encryption of fields and files, and blind indexes. Holds no keys: they come from settings.

AES-256-GCM (NIST SP 800-38D) with a fresh 96-bit nonce. The associated data binds a ciphertext to the
table, column and row it was written for, so a swapped one does not open.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import unicodedata
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from salus_web.common.errors import IntegrityBroken

_NONCE_BYTES = 12


@lru_cache(maxsize=8)
def _derived(key_hex: str, purpose: str) -> bytes:
    """A 32-byte key for one purpose from a master key, so that no key serves two."""
    return hmac.new(bytes.fromhex(key_hex), purpose.encode(), hashlib.sha256).digest()


def _data_key(key_id: str) -> bytes:
    try:
        return _derived(settings.SALUS_DATA_KEYS[key_id], "data")
    except KeyError:
        raise IntegrityBroken(f"The data key named {key_id} is not among the keys of this installation.") from None


def seal(plain: bytes, *, bound_to: str) -> bytes:
    """Encrypt bytes, bound to a place such as `records_patient.name.<id>`. Result names its key."""
    key_id = settings.SALUS_CURRENT_DATA_KEY
    nonce = os.urandom(_NONCE_BYTES)
    body = AESGCM(_data_key(key_id)).encrypt(nonce, plain, bound_to.encode())
    return bytes([len(key_id)]) + key_id.encode() + nonce + body


def unseal(sealed: bytes | memoryview, *, bound_to: str) -> bytes:
    """Decrypt what `seal` made for the same place; IntegrityBroken when anything was changed or moved."""
    raw = bytes(sealed)
    if len(raw) < 2 + _NONCE_BYTES:
        raise IntegrityBroken("A stored encrypted value is cut short.")
    start = 1 + raw[0]
    key_id, nonce = raw[1:start].decode("ascii", "replace"), raw[start : start + _NONCE_BYTES]
    try:
        return AESGCM(_data_key(key_id)).decrypt(nonce, raw[start + _NONCE_BYTES :], bound_to.encode())
    except InvalidTag:
        raise IntegrityBroken("A stored encrypted value was changed, moved or belongs to another row.") from None


def blind_index(value: str, *, purpose: str) -> str:
    """Keyed hash (HMAC-SHA-256, hex) of a normalised identifier, for equality search only."""
    folded = unicodedata.normalize("NFKC", value).casefold().strip()
    key = _derived(settings.SALUS_INDEX_KEY, f"index:{purpose}")
    return hmac.new(key, folded.encode(), hashlib.sha256).hexdigest()


def keyed_hash(value: bytes, *, purpose: str) -> str:
    """Keyed hash (hex) of bytes, so that the log can hold proof of a value without the value."""
    return hmac.new(_derived(settings.SALUS_INDEX_KEY, purpose), value, hashlib.sha256).hexdigest()
