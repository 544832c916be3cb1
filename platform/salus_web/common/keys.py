"""The master keys of this process, kept fresh while it runs, and keys derived from them. Where they come from: key_sources."""

from __future__ import annotations

import hashlib
import hmac
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from salus_web.common.errors import IntegrityBroken
from salus_web.common.key_sources import KeySet, KeyTrouble

_ASK_AGAIN_AFTER = 1.0


@dataclass(frozen=True, slots=True)
class _Held:
    """What a source last said, and until when that is taken for fresh (monotonic seconds)."""

    source: Any
    keys: KeySet
    stamp: Any
    read_at: float
    fresh_until: float


_lock = threading.Lock()
_held: _Held | None = None


def key_set() -> KeySet:
    """The master keys as last read from their source; a new one is seen within the source's own time."""
    source = settings.SALUS_KEY_SOURCE
    if source is None:
        return KeySet(settings.SALUS_DATA_KEYS, settings.SALUS_CURRENT_DATA_KEY)
    held = _held
    if held is not None and held.source is source and time.monotonic() < held.fresh_until:
        return held.keys
    return _read(source)


def lag_seconds() -> float:
    """How long a running process may go on sealing with a key that is no longer current; infinite where only a new start
    changes that, because the environment names the current key."""
    source = settings.SALUS_KEY_SOURCE
    if source is None:
        return 0.0
    return float("inf") if getattr(source, "current", "") else source.fresh_for


def _read(source: Any, *, at_once: bool = False) -> KeySet:
    """Read anew. A source that cannot be read now does not take away the keys that were read before."""
    global _held
    with _lock:
        moment, held = time.monotonic(), _held if _held is not None and _held.source is source else None
        if held is not None and moment < (held.read_at + _ASK_AGAIN_AFTER if at_once else held.fresh_until):
            return held.keys
        stamp = source.stamp()
        if held is not None and not at_once and stamp == held.stamp:
            keys = held.keys
        else:
            try:
                keys = source.read()
            except KeyTrouble:
                if held is None:
                    raise
                keys, stamp = held.keys, None
        _held = _Held(source, keys, stamp, moment, moment + source.fresh_for)
        return keys


def master_key(name: str) -> str:
    """A master key by its name. Raises IntegrityBroken when this installation has none of that name."""
    keys = key_set().keys
    if name not in keys and settings.SALUS_KEY_SOURCE is not None:
        keys = _read(settings.SALUS_KEY_SOURCE, at_once=True).keys
    try:
        return keys[name]
    except KeyError:
        raise IntegrityBroken(f"The data key named {name} is not among the keys of this installation.") from None


@lru_cache(maxsize=32)
def derived(key_hex: str, purpose: str) -> bytes:
    """A 32-byte key for one purpose from a master key, so that no key serves two."""
    return hmac.new(bytes.fromhex(key_hex), purpose.encode(), hashlib.sha256).digest()


@lru_cache(maxsize=32)
def cipher(key_hex: str, purpose: str) -> AESGCM:
    """The cipher of a derived key."""
    return AESGCM(derived(key_hex, purpose))
