"""Whether the broker answers, found out quickly: the client library alone would try for seconds inside a web request."""

from __future__ import annotations

import socket
from urllib.parse import urlparse

SECONDS = 0.5


def answers(url: str) -> bool:
    """Whether something listens at a redis address. An address of another kind is taken to answer; none does not."""
    if not url:
        return False
    parts = urlparse(url)
    try:
        if parts.scheme == "redis+socket":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(SECONDS)
                probe.connect(parts.path)
        elif parts.scheme in {"redis", "rediss"}:
            socket.create_connection((parts.hostname or "localhost", parts.port or 6379), SECONDS).close()
    except OSError:
        return False
    return True
