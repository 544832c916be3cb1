"""Whoever asks for much at once waits in a line of their own: their requests are served one after another by a second thread, and
the web process goes on with everybody else's. Nothing is refused here. A thin layer between the server and Django.

A synchronous worker serves requests in the order in which they come, so eight at once of one person would stand before
everybody else's next one. What a browser asks for with a page stays below the limit, and in the line it is served as well.
"""

from __future__ import annotations

import atexit
import io
import logging
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, Queue
from threading import Lock, Thread
from typing import Any

AT_ONCE, A_SECOND = 4, 4  # so many at once, then so many a second, stay out of the line
WAITING_AT_MOST = 64  # beyond that they are served by the process as before
BODY_AT_MOST = 64 << 10  # what is larger is an upload, and stays where it is read
SLOWEST_READER_SECONDS = 20.0
LEAVING_SECONDS = 10.0
KEPT_AT_MOST = 20_000
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]
log = logging.getLogger(__name__)


class Lane:
    """The line of one process, and its thread."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._waiting: Queue[tuple[Environ, socket.socket]] = Queue()
        self._levels: dict[Any, tuple[float, float]] = {}
        self._lock = Lock()
        self._thread: Thread | None = None

    def wants(self, environ: Environ) -> bool:
        """Whether this request belongs in the line. Counts it."""
        if environ["PATH_INFO"].startswith("/static/") or environ.get("wsgi.multithread") or environ.get("gunicorn.socket") is None:
            return False
        length = environ.get("CONTENT_LENGTH") or "0"
        if environ["REQUEST_METHOD"] not in {"GET", "POST"} or not length.isdecimal() or int(length) > BODY_AT_MOST:
            return False
        return self._level(_shown(environ)) > AT_ONCE and self._waiting.qsize() < WAITING_AT_MOST

    def put(self, environ: Environ) -> None:
        """Take the request with its connection out of the server's hands."""
        length = int(environ.get("CONTENT_LENGTH") or 0)
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(length) if length else b"")
        link = environ["gunicorn.socket"]
        own = socket.socket(link.family, link.type, link.proto, fileno=link.detach())
        environ["gunicorn.socket"] = own
        self._waiting.put((environ, own))
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="own line", daemon=True)
                self._thread.start()
                atexit.register(self._leave)

    def _level(self, shown: Any) -> float:
        moment = time.monotonic()
        if len(self._levels) >= KEPT_AT_MOST:
            self._levels.clear()
        level, at = self._levels.get(shown, (0.0, moment))
        level = max(0.0, level - A_SECOND * (moment - at)) + 1
        self._levels[shown] = (level, moment)
        return level

    def _run(self) -> None:
        while True:
            environ, link = self._waiting.get()
            try:
                self._serve(environ, link)
            except StopIteration:
                pass  # the connection was taken on: its answer comes late
            except OSError:
                link.close()  # whoever asked is gone
            except Exception:
                log.exception("A request in the line failed.")
                link.close()
            self._waiting.task_done()

    def _serve(self, environ: Environ, link: socket.socket) -> None:
        said: list[Any] = []
        body = self._application(environ, lambda *parts: said.append(parts))
        try:
            status, headers = said[0][:2]
            named = [f"{name}: {value}" for name, value in headers if name.lower() != "connection"]
            link.settimeout(SLOWEST_READER_SECONDS)
            link.sendall("\r\n".join([f"HTTP/1.1 {status}", *named, "Connection: close"]).encode("latin-1") + b"\r\n\r\n")
            for part in body:
                link.sendall(part)
        finally:
            if hasattr(body, "close"):
                body.close()
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
        link.close()

    def _leave(self) -> None:
        """A process that ends serves who waits, for a while."""
        deadline = time.monotonic() + LEAVING_SECONDS
        while self._waiting.unfinished_tasks and time.monotonic() < deadline:
            time.sleep(0.05)
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()[1].close()


def laned(application: Application) -> Application:
    """The application with a line of their own for whoever asks for much at once."""
    lane = Lane(application)

    def run(environ: Environ, start_response: Any) -> Iterable[bytes]:
        if not lane.wants(environ):
            return application(environ, start_response)
        lane.put(environ)
        raise StopIteration  # as gunicorn's own workers say that a connection is no longer theirs

    return run


def _shown(environ: Environ) -> tuple[str, ...]:
    """What a request shows of who it is."""
    return tuple(str(environ.get(name, "")) for name in ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"))
