"""An answer that comes late: the server is free at once, the asker gets the whole answer after the wait, and an answer of any
other request is what it was."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

import pytest
from salus_web.common import late as module
from salus_web.common.late import LATE, late


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Marks its answer where the environment asks for it."""
    if environ.get("mark"):
        environ[LATE] = environ["mark"]
    start_response("429 Too Many Requests", [("Content-Type", "text/plain"), ("Retry-After", "9")])
    return [b"please ", b"wait"]


@pytest.fixture
def pair() -> Any:
    here, there = socket.socketpair()
    there.settimeout(5)
    yield here, there
    here.close()
    there.close()


def test_the_server_is_free_at_once_and_the_answer_comes_whole(pair: Any) -> None:
    here, there = pair
    there.sendall(b"a body that nobody reads")
    began = time.monotonic()
    with pytest.raises(StopIteration):
        late(application)({"mark": 0.4, "gunicorn.socket": here}, lambda *said: pytest.fail("the server was to say nothing"))
    assert time.monotonic() - began < 0.2
    here.close()  # as the server does; the connection lives on
    got = b""
    while part := there.recv(1000):
        got += part
    assert time.monotonic() - began >= 0.4
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n") and b"Retry-After: 9" in head and b"Content-Length: 11" in head
    assert body == b"please wait"


def test_what_is_not_marked_is_answered_by_the_server(pair: Any) -> None:
    said: list[Any] = []
    parts = late(application)({"gunicorn.socket": pair[0]}, lambda *words: said.append(words))
    assert b"".join(parts) == b"please wait" and said[0][0].startswith("429") and pair[0].fileno() >= 0


@pytest.mark.parametrize("environ", [{"mark": 5}, {"mark": 5, "wsgi.multithread": True}], ids=["no socket", "threads"])
def test_where_the_server_cannot_let_go_the_answer_comes_at_once(environ: dict[str, Any], pair: Any) -> None:
    if "wsgi.multithread" in environ:
        environ = environ | {"gunicorn.socket": pair[0]}
    assert b"".join(late(application)(environ, lambda *said: None)) == b"please wait"


def test_no_more_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch, pair: Any) -> None:
    monkeypatch.setattr(module, "HELD_AT_MOST", 0)
    assert b"".join(late(application)({"mark": 5, "gunicorn.socket": pair[0]}, lambda *said: None)) == b"please wait"


def test_who_hangs_up_harms_nobody(pair: Any) -> None:
    here, there = pair
    with pytest.raises(StopIteration):
        late(application)({"mark": 0.05, "gunicorn.socket": here}, lambda *said: None)
    there.close()
    second, asker = socket.socketpair()
    with pytest.raises(StopIteration):
        late(application)({"mark": 0.2, "gunicorn.socket": second}, lambda *said: None)
    asker.settimeout(5)
    assert asker.recv(12) == b"HTTP/1.1 429"
    assert sum(thread.name == "late answers" for thread in threading.enumerate()) == 1
    asker.close()
