"""A synchronous web worker that keeps nobody waiting for a connection that says nothing. Browsers open connections in advance; the
plain worker would wait for the first word of such a one, and everybody else with it."""

from __future__ import annotations

import select
import socket
import time
from typing import Any

from gunicorn.util import close_on_exec
from gunicorn.workers.sync import SyncWorker

SILENT_SECONDS, HEAD_SECONDS = 60.0, 10.0
PARKED_AT_MOST = 256
LOOKS_EVERY_SECONDS = 1.0


class ParkingWorker(SyncWorker):  # type: ignore[misc]
    """Answers whoever has begun to ask, in turn. Silent connections stand beside; the oldest go where there are too many."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._parked: dict[socket.socket, tuple[Any, Any, float]] = {}  # the listener, from where, and until when

    def accept(self, listener: Any) -> None:
        """Take a connection in, and answer all that have something to say."""
        client, address = listener.accept()
        close_on_exec(client)
        if len(self._parked) >= PARKED_AT_MOST:
            self._leave(next(iter(self._parked)))
        self._parked[client] = listener, address, time.monotonic() + SILENT_SECONDS
        self._answer_ready(0.0)

    def wait(self, timeout: float) -> Any:
        """Until somebody connects, or one of the parked speaks."""
        if self._parked:
            self._answer_ready(min(timeout, LOOKS_EVERY_SECONDS), *self.wait_fds)
            timeout = 0.0
        return super().wait(timeout)

    def _answer_ready(self, seconds: float, *others: Any) -> None:
        moment = time.monotonic()
        for client in [one for one, (_, _, until) in self._parked.items() if until < moment]:
            self._leave(client)
        ready, _, _ = select.select([*others, *self._parked], [], [], seconds)
        for client in ready:
            if client in self._parked:
                listener, address, _ = self._parked.pop(client)
                client.settimeout(HEAD_SECONDS)
                self.handle(listener, client, address)

    def _leave(self, client: socket.socket) -> None:
        del self._parked[client]
        client.close()

    def handle_request(self, listener: Any, request: Any, client: socket.socket, address: Any) -> None:
        """The head is here: from now on the application says how long it waits for the rest."""
        client.settimeout(None)
        super().handle_request(listener, request, client, address)
