"""What an authenticator app shows at this moment (RFC 6238), for people who are programs. Standard library only."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b32decode


def code_now(secret: str) -> str:
    """Six digits of this half minute."""
    mac = hmac.new(b32decode(secret), (int(time.time()) // 30).to_bytes(8, "big"), hashlib.sha1).digest()
    at = mac[-1] & 15
    return f"{(int.from_bytes(mac[at : at + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06d}"
