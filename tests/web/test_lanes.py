"""Whoever asks for much at once is served in a line of their own, one after another and whole, and keeps nobody else from being served."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from salus_web.common import lanes
from salus_web.common.lanes import AT_ONCE, laned

SLOW_SECONDS = 0.15


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Says what was asked, by which thread; slowly."""
    time.sleep(SLOW_SECONDS if environ["PATH_INFO"] == "/slow/" else 0)
    if environ["PATH_INFO"] == "/broken/":
        raise ValueError("broken")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [threading.current_thread().name.encode(), b"|", environ["wsgi.input"].read()]


class Asker:
    """Asks as one browser does; keeps the other ends of what the line took."""

    def __init__(self, app: Any, cookie: str) -> None:
        self.app, self.cookie, self.taken = app, cookie, []

    def ask(self, path: str, *, method: str = "GET", body: bytes = b"", declared: int | None = None) -> str:
        """What the server got to send, or “taken”."""
        here, there = socket.socketpair()
        there.settimeout(5)
        length = str(declared if declared is not None else len(body))
        environ = {
            "PATH_INFO": path, "REQUEST_METHOD": method, "HTTP_COOKIE": self.cookie, "REMOTE_ADDR": "10.0.0.1", "gunicorn.socket": here,
            "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": length,
        }  # fmt: skip
        try:
            return b"".join(self.app(environ, lambda *said: None)).decode()
        except StopIteration:
            here.close()  # as the server does with what it takes to be its own
            self.taken.append(there)
            return "taken"


def whole(link: socket.socket) -> str:
    got = b""
    while part := link.recv(4096):
        got += part
    link.close()
    return got.decode()


@pytest.fixture
def app() -> Iterator[Any]:
    yield laned(application)


def fill(asker: Asker) -> None:
    assert [asker.ask("/") for _ in range(AT_ONCE)] == ["MainThread|"] * AT_ONCE


def test_a_page_and_its_images_are_served_as_ever_and_what_is_more_stands_in_line(app: Any) -> None:
    asker = Asker(app, "session=1")
    fill(asker)
    began = time.monotonic()
    assert [asker.ask("/slow/") for _ in range(4)] == ["taken"] * 4
    assert time.monotonic() - began < SLOW_SECONDS, "the process was free at once"
    assert Asker(app, "session=2").ask("/") == "MainThread|", "somebody else"
    answers = [whole(link) for link in asker.taken]
    assert time.monotonic() - began >= 4 * SLOW_SECONDS, "one after another"
    assert all(answer.startswith("HTTP/1.1 200 OK\r\n") and answer.endswith("\r\n\r\nown line|") for answer in answers)


def test_a_form_keeps_its_fields(app: Any) -> None:
    asker = Asker(app, "session=3")
    fill(asker)
    assert asker.ask("/", method="POST", body=b"q=words") == "taken"
    assert whole(asker.taken[0]).endswith("own line|q=words")


@pytest.mark.parametrize(
    ("path", "method", "declared"), [("/static/salus.css", "GET", 0), ("/uploads/", "POST", 4 << 20), ("/", "HEAD", 0), ("/", "POST", -1)]
)
def test_what_never_stands_in_line(app: Any, path: str, method: str, declared: int) -> None:
    asker = Asker(app, f"session=4{path}{method}")
    fill(asker)
    assert asker.ask(path, method=method, declared=declared) == "MainThread|"


def test_after_a_pause_one_is_served_as_ever(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = Asker(app, "session=5")
    fill(asker)
    assert asker.ask("/") == "taken"
    later = time.monotonic() + 5
    monkeypatch.setattr(lanes.time, "monotonic", lambda: later)
    assert asker.ask("/") == "MainThread|"


def test_a_full_line_takes_nothing_more(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "WAITING_AT_MOST", 0)
    asker = Asker(app, "session=6")
    fill(asker)
    assert asker.ask("/") == "MainThread|"


def test_what_breaks_in_the_line_closes_its_connection_and_the_line_goes_on(app: Any) -> None:
    asker = Asker(app, "session=7")
    fill(asker)
    assert [asker.ask("/broken/"), asker.ask("/")] == ["taken"] * 2
    assert whole(asker.taken[0]) == "" and whole(asker.taken[1]).endswith("own line|")


def test_who_hangs_up_does_not_stop_the_line(app: Any) -> None:
    asker = Asker(app, "session=8")
    fill(asker)
    assert [asker.ask("/slow/"), asker.ask("/slow/")] == ["taken"] * 2
    asker.taken[0].close()
    assert whole(asker.taken[1]).endswith("own line|")
