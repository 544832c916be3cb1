"""Bodies against a real web process: declared too large, really large, slow, cut off, from nobody. Memory stays flat, nothing of
a refused one stays on the disk, and the process answers others meanwhile.

The short form sends 40 MB, SALUS_DRILL=long 300 MB; 2 GB are declared in both.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.drills.hostile_server import Server, answer_of

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LONG = os.environ.get("SALUS_DRILL") == "long"
SIZE = (300 if LONG else 40) << 20
FORM = "multipart/form-data; boundary=drill"
PIECE = os.urandom(1 << 20)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, repository_root: Path) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("server"), repository_root) as found:
        yield found


def kept(server: Server) -> tuple[int, int, int]:
    """Rows of uploads, bytes in the vault, files on their way."""
    with sqlite3.connect(server.data / "salus.sqlite3") as database:
        rows = database.execute("SELECT count(*) FROM ingest_upload").fetchone()[0]
    vault = sum(path.stat().st_size for path in (server.data / "vault").rglob("*") if path.is_file()) if (server.data / "vault").exists() else 0
    waiting = len(list((server.data / "arriving").iterdir())) if (server.data / "arriving").exists() else 0
    return rows, vault, waiting


def send(line: socket.socket, server: Server, size: int, *, filename: str = "Planted Name.bin") -> int:
    """A form with one file of so many bytes; returns how many were taken before the other side hung up."""
    before, after = server.parts(filename)
    line.sendall(server.head("/uploads/", len(before) + size + len(after), kind=FORM) + before)
    sent = 0
    with suppress(ConnectionError, BrokenPipeError):
        while sent < size:
            line.sendall(PIECE[: size - sent])
            sent += min(len(PIECE), size - sent)
        line.sendall(after)
    return sent


def test_two_declared_gigabytes_are_refused_before_they_are_read(server: Server) -> None:
    state, started = kept(server), time.monotonic()
    with server.open() as line:
        line.sendall(server.head("/uploads/", 2 << 30, kind=FORM))
        said = answer_of(line)
    assert said.startswith("HTTP/1.1 413") and "At most 512 MB" in said
    assert time.monotonic() - started < 5 and kept(server) == state


def test_who_sends_them_all_the_same_is_cut_off(server: Server) -> None:
    state = kept(server)
    server.forget_peak()
    peak = server.peak_bytes()
    with server.open() as line:
        sent = send(line, server, 2 << 30)
    assert sent < 64 << 20, "the body was read"
    assert kept(server) == state and server.peak_bytes() - peak < 8 << 20


def test_a_large_file_is_taken_in_flat_memory(server: Server) -> None:
    with server.open() as line:  # warm: what is imported at a first upload
        send(line, server, 2 << 20)
        answer_of(line)
    rows, vault, _ = kept(server)
    server.forget_peak()
    peak, started = server.peak_bytes(), time.monotonic()
    with server.open() as line:
        assert send(line, server, SIZE) == SIZE
        said = answer_of(line)
    seconds, grown = time.monotonic() - started, server.peak_bytes() - peak
    sys.stdout.write(f"{SIZE >> 20} MB in {seconds:.1f} s, peak memory {server.peak_bytes() / (1 << 20):.0f} MB, grown by {grown / (1 << 20):.1f} MB\n")
    assert said.startswith("HTTP/1.1 302")
    now_rows, now_vault, waiting = kept(server)
    assert (now_rows, waiting) == (rows + 1, 0) and now_vault - vault >= SIZE
    assert grown < 32 << 20


def test_a_body_that_is_cut_off_leaves_nothing(server: Server) -> None:
    """A half file must not be taken for a whole one, whether or not the sender still listens."""
    state = kept(server)
    before, _ = server.parts("half.bin")
    for listens in (True, False):
        with server.open() as line:
            line.sendall(server.head("/uploads/", 50 << 20, kind=FORM) + before + PIECE * 5)
            until(lambda: kept(server)[2] == 1, 10)
            if listens:
                line.shutdown(socket.SHUT_WR)
                assert answer_of(line).startswith("HTTP/1.1 400")
        until(lambda: kept(server) == state, 10)


def test_a_body_that_stops_is_given_up_and_others_are_answered_meanwhile(server: Server) -> None:
    state, before = kept(server), server.parts("slow.bin")[0]
    lines = [server.open() for _ in range(3)]
    for line in lines:
        line.sendall(server.head("/uploads/", 50 << 20, kind=FORM) + before + PIECE[:1000])
    time.sleep(1)
    started = time.monotonic()
    assert server.ask(b"GET /healthy/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").startswith("HTTP/1.1 200")
    assert time.monotonic() - started < 2
    for line in lines:
        said = answer_of(line)
        assert said.startswith("HTTP/1.1 408"), said[:200]
        line.close()
    assert time.monotonic() - started < 30
    assert kept(server) == state


@pytest.mark.skipif(not LONG, reason="a minute of dripping; SALUS_DRILL=long")
def test_a_body_that_drips_is_given_up(server: Server) -> None:
    state, before = kept(server), server.parts("drip.bin")[0]
    started = time.monotonic()
    with server.open() as line, suppress(ConnectionError):
        line.sendall(server.head("/uploads/", 100 << 10, kind=FORM) + before)
        while time.monotonic() - started < 60:
            line.sendall(b"x")
            time.sleep(1)
    until(lambda: kept(server) == state, 5)
    with server.open() as line:
        line.sendall(server.head("/uploads/", 100 << 10, kind=FORM) + before)
        line.settimeout(1)
        said = ""
        for _ in range(60):
            with suppress(ConnectionError):
                line.sendall(b"x")
            with suppress(TimeoutError):
                said = line.recv(100).decode()
                break
    assert said.startswith("HTTP/1.1 408")


def test_nobody_brings_a_file_and_is_not_read_to_the_end(server: Server) -> None:
    state = kept(server)
    with server.open() as line:
        line.sendall(server.head("/uploads/", 400 << 20, kind=FORM, cookie="sessionid=nobody"))
        said = answer_of(line)
    assert said.startswith("HTTP/1.1 302") and "/login/" in said.partition("\r\n\r\n")[0]
    with server.open() as line:
        line.sendall(server.head("/login/", 400 << 20, kind="application/x-www-form-urlencoded", cookie="a=b"))
        assert answer_of(line).startswith("HTTP/1.1 413")
    assert kept(server) == state


def test_the_log_of_the_process_names_no_file_and_shows_no_fault(server: Server) -> None:
    said = (server.data / "web.log").read_text()
    assert "Planted" not in said and "Traceback" not in said and "ERROR" not in said, said[-2000:]


def until(ready: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < deadline, "something of a refused body stayed"
        time.sleep(0.2)
