"""Connections that say nothing, as browsers open them in advance, against one synchronous web process: nobody waits for them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from salus_web.common.parking import PARKED_AT_MOST

from tests.drills.hostile_server import Server, answer_of

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LOGIN = b"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, repository_root: Path) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), repository_root, threads=1) as found:
        yield found


def test_silent_connections_keep_nobody_waiting_and_are_answered_when_they_speak(server: Server) -> None:
    silent, began = [server.open() for _ in range(12)], time.monotonic()
    assert all(server.ask(LOGIN).startswith("HTTP/1.1 200") for _ in range(3))
    assert time.monotonic() - began < 5, "a plain synchronous worker waits for ever"
    for line in silent[:2]:
        line.sendall(LOGIN)
        assert answer_of(line).startswith("HTTP/1.1 200")
    silent[2].close()
    assert server.ask(LOGIN).startswith("HTTP/1.1 200"), "one that goes without a word takes nothing with it"
    for line in silent:
        line.close()


def test_of_too_many_the_oldest_go_and_others_are_answered(server: Server) -> None:
    silent = [server.open() for _ in range(PARKED_AT_MOST + 20)]
    assert server.ask(LOGIN).startswith("HTTP/1.1 200")
    assert is_closed(silent[0]) and not is_closed(silent[-1])
    for line in silent:
        line.close()


def is_closed(line: socket.socket) -> bool:
    line.settimeout(0.5)
    with suppress(TimeoutError):
        return line.recv(1) == b""
    return False
