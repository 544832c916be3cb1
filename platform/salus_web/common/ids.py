"""Identifiers. Time-ordered so that indexes stay compact; random enough that nobody guesses one."""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> uuid.UUID:
    """A version 7 UUID (RFC 9562): 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & ((1 << 48) - 1)) << 80
    value |= 0x7 << 76
    value |= secrets.randbits(12) << 64
    value |= 0b10 << 62
    value |= secrets.randbits(62)
    return uuid.UUID(int=value)


def new_pseudonym() -> str:
    """Sixteen random bytes as hex: stands for a patient wherever a name must not."""
    return secrets.token_hex(16)
