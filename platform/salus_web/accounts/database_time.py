"""What a database server computed for a request: no clock of the request's own thread shows it. SQLite computes in the thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


class Spent:
    """Processor seconds of one request: its thread's and, estimated, the server's.

    While a thread waits for the server, the server computes or waits for a processor itself. It is taken to have got one for
    as large a part of that time as the thread had of the rest, so that a machine that is busy with others makes nothing dearer.
    """

    def __init__(self) -> None:
        self._thread, self._wall = time.thread_time(), time.perf_counter()
        self.waited = 0.0  # for the server, without a processor of our own

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        """Ask the server, and count the wait (Django's execute_wrapper)."""
        thread, wall = time.thread_time(), time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.waited += max(0.0, time.perf_counter() - wall - (time.thread_time() - thread))

    def seconds(self) -> float:
        """So much since this was made."""
        thread, wall = time.thread_time() - self._thread, time.perf_counter() - self._wall
        outside = wall - self.waited
        return thread + self.waited * (min(1.0, thread / outside) if outside > 0 else 1.0)


@contextmanager
def counted() -> Iterator[Spent]:
    """What is done inside, with what a server computes for it."""
    spent = Spent()
    if connection.vendor == "sqlite":
        yield spent
        return
    with connection.execute_wrapper(spent):
        yield spent
