"""A body must arrive at a pace: who sends nothing for a while, or next to nothing for long, is cut off, so that nobody holds a
web process by sending slowly. A thin layer between the server and Django, which knows nothing of either's users."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Timer
from typing import Any

SILENT_SECONDS = 20.0
GRACE_SECONDS = 30.0
SLOWEST_BYTES_A_SECOND = 16 << 10
Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


class TooSlow(OSError):
    """The body did not arrive in time."""


class CutShort(OSError):
    """The body ended before its declared length. Django's parser would take a half file for a whole one."""


class PacedInput:
    """Reads a body; what is slow or not whole raises."""

    def __init__(self, body: Any, client: socket.socket | None, length: int) -> None:
        self._body, self._client, self._left, self.is_over = body, client, length, False
        if client is not None:
            client.settimeout(SILENT_SECONDS)
        self._timer = Timer(GRACE_SECONDS + length / SLOWEST_BYTES_A_SECOND, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        """Whoever waits for the next byte gets the end instead; an answer can still be sent."""
        self.is_over = True
        if self._client is not None:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RD)

    def _got(self, got: bytes) -> bytes:
        if self.is_over:
            raise TooSlow("The body did not arrive in time.")
        self._left -= len(got)
        if not got and self._left > 0:
            raise CutShort("The body ended before its declared length.")
        return got

    def read(self, *size: int) -> bytes:
        """As a file's. Raises TooSlow."""
        try:
            return self._got(self._body.read(*size))
        except TimeoutError:
            raise TooSlow("The body stopped.") from None

    def readline(self, *size: int) -> bytes:
        """As a file's. Raises TooSlow."""
        try:
            return self._got(self._body.readline(*size))
        except TimeoutError:
            raise TooSlow("The body stopped.") from None

    def close(self) -> None:
        """No longer watched."""
        self._timer.cancel()


def paced(application: Application) -> Application:
    """The application with its bodies paced."""

    def run(environ: Environ, start_response: Any) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH") or ""
        if not length.isdecimal() or int(length) == 0:
            return application(environ, start_response)
        body = PacedInput(environ["wsgi.input"], environ.get("gunicorn.socket"), int(length))
        environ["wsgi.input"] = body
        try:
            return application(environ, start_response)
        finally:
            body.close()

    return run


def was_too_slow(error: BaseException) -> bool:
    """Whether a failed read was one of a body that did not arrive in time."""
    return isinstance(error.__cause__, TooSlow) or any(isinstance(part, TooSlow) for part in error.args)
