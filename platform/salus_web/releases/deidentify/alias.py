"""What a person is called in one release."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

SHIFT_DAYS = 1_000  # at most, into the past


@dataclass(frozen=True, slots=True)
class Alias:
    """How a person is called in one release; `secret` (32 bytes, kept by nobody) makes its UIDs and the shift of its dates."""

    name: str
    secret: bytes

    def uid(self, uid: str) -> str:
        """A UID that is the same for the same one, and tells nothing of it (PS3.5, B.2: derived from a UUID)."""
        return f"2.25.{int.from_bytes(self._keyed('uid', uid)[:16], 'big')}"

    def shift(self) -> timedelta:
        """One to a thousand days back, the same for all of the person's dates."""
        return timedelta(days=-1 - int.from_bytes(self._keyed("days", self.name)[:8], "big") % SHIFT_DAYS)

    def _keyed(self, purpose: str, text: str) -> bytes:
        return hmac.new(self.secret, f"{purpose}|{text}".encode(), hashlib.sha256).digest()
