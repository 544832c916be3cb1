"""Answers that come late on purpose, while no web process waits for it: who asks without a pause after having had too much asks
less when each answer takes seconds. A thin layer between the server and Django; Django marks the answer (`LATE` in environ).

The connection is taken from the server (gunicorn's synchronous worker, which is free again at once) and kept by one thread.
"""

from __future__ import annotations

import heapq
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Condition, Thread
from typing import Any

LATE = "salus.late_seconds"
HELD_AT_MOST = 256  # connections of one process; beyond that answers come at once
CLOSES_AFTER_SECONDS, LEFT_OVER_BYTES = 1.0, 1 << 20
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


class Keeper:
    """Keeps connections until their answer is due."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, socket.socket, bytes]] = []
        self._changed, self._number = Condition(), 0
        self._thread: Thread | None = None

    def has_room(self) -> bool:
        """Whether one more may be kept."""
        return len(self._due) < HELD_AT_MOST

    def keep(self, link: socket.socket, answer: bytes, seconds: float) -> None:
        """Send the answer in so many seconds, then close."""
        with self._changed:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="late answers", daemon=True)
                self._thread.start()
            self._push(seconds, link, answer)
            self._changed.notify()

    def _push(self, seconds: float, link: socket.socket, answer: bytes) -> None:
        self._number += 1  # so that two that are due at once are not compared further
        heapq.heappush(self._due, (time.monotonic() + seconds, self._number, link, answer))

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due or (left := self._due[0][0] - time.monotonic()) > 0:
                    self._changed.wait(left if self._due else None)
                _, _, link, answer = heapq.heappop(self._due)
            if _answered(link, answer):
                with self._changed:  # closed later: closing with something unread would take the answer back
                    self._push(CLOSES_AFTER_SECONDS, link, b"")


def _answered(link: socket.socket, answer: bytes) -> bool:
    """Send, or close when all is said or nobody is there. Whether it is to be closed later."""
    with suppress(OSError):
        _read_away(link)
        if answer:
            link.send(answer)  # not blocking: a few kilobytes fit into the system's buffer
            link.shutdown(socket.SHUT_WR)
            return True
    link.close()
    return False


def _read_away(link: socket.socket) -> None:
    """What came of the request and nobody read, up to a limit."""
    link.setblocking(False)
    left = LEFT_OVER_BYTES
    with suppress(BlockingIOError):
        while left > 0 and (got := link.recv(1 << 16)):
            left -= len(got)


keeper = Keeper()


def late(application: Application) -> Application:
    """The application with its marked answers sent late, where the server can let go of the connection."""

    def run(environ: Environ, start_response: Any) -> Iterable[bytes]:
        said: list[Any] = []
        body = application(environ, lambda *parts: said.append(parts))
        link, seconds = environ.get("gunicorn.socket"), environ.get(LATE)
        if not seconds or link is None or environ.get("wsgi.multithread") or not keeper.has_room():
            start_response(*said[0])
            return body
        status, headers = said[0][:2]
        whole = _raw(status, headers, body)
        # detached, the server's own closing finds nothing to close
        keeper.keep(socket.socket(link.family, link.type, link.proto, fileno=link.detach()), whole, seconds)
        raise StopIteration  # as gunicorn's own workers say that a connection is no longer theirs

    return run


def _raw(status: str, headers: list[tuple[str, str]], body: Iterable[bytes]) -> bytes:
    """An answer as it goes over the line."""
    content = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    named = [(name, value) for name, value in headers if name.lower() not in {"content-length", "connection"}]
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named), f"Content-Length: {len(content)}", "Connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content
