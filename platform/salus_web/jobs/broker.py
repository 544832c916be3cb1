"""Whether the broker answers, found out quickly: the client library alone would try for seconds inside a web request."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlparse

import redis

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


@dataclass(frozen=True, slots=True)
class BrokerState:
    """What a broker says of itself: what it is, and how many messages lie in each queue."""

    version: str
    depth: dict[str, int]


def ask(url: str, *, queues: Sequence[str]) -> BrokerState:
    """Ask a redis broker; raises OSError when it does not answer within half a second at each step, or cannot be asked."""
    parts = urlparse(url)
    if parts.scheme not in {"redis", "rediss", "redis+socket"}:
        raise OSError("this kind of broker cannot be asked")
    address = url.replace("redis+socket://", "unix://", 1)
    link = redis.Redis.from_url(address, socket_timeout=SECONDS, **({} if parts.scheme == "redis+socket" else {"socket_connect_timeout": SECONDS}))
    try:
        with link, link.pipeline(transaction=False) as asked:
            asked.info("server")
            for name in queues:
                asked.llen(name)
            said, *lengths = asked.execute()
    except redis.RedisError as reason:
        raise OSError(str(reason)) from None
    kind = "Valkey" if "valkey_version" in said else "Redis"
    return BrokerState(f"{kind} {said.get('valkey_version', said.get('redis_version', ''))}", dict(zip(queues, lengths)))
