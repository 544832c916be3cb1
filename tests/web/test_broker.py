"""A dead broker is found out at once, whatever its address."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from salus_web.jobs.broker import answers


def test_who_listens_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert answers(f"redis://127.0.0.1:{server.getsockname()[1]}/0")


@pytest.mark.parametrize("url", ["", "redis://127.0.0.1:9/0", "redis+socket:///nowhere/queue.sock"])
def test_who_does_not_listen_is_found_out_quickly(url: str) -> None:
    started = time.monotonic()
    assert not answers(url)
    assert time.monotonic() - started < 2


def test_a_unix_socket_answers(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "q"))
        server.listen()
        assert answers(f"redis+socket://{tmp_path / 'q'}")
    assert not answers(f"redis+socket://{tmp_path / 'q'}")
