"""`manage.py up`: starts, answers, stops every child; says in one sentence why it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.slow


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(root: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(root / "manage.py"), "up", "--no-demo", *arguments]


def environment() -> dict[str, str]:
    left_out = {"DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def children_with(folder: Path) -> list[str]:
    """Processes whose environment or command names the data folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told and process.name != str(os.getpid()):
            found.append((process / "cmdline").read_text().replace("\0", " ") if (process / "cmdline").exists() else "")
    return [line for line in found if line.strip()]


def test_up_answers_and_leaves_nothing_behind(repository_root: Path, tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    started = subprocess.Popen(
        command(repository_root, "--port", str(port), "--data-dir", str(folder)), env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert started.stdout is not None
        for line in started.stdout:
            if "Salus is at" in line:
                break
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=10) as answer:
            assert answer.status == 200 and b"Sign in" in answer.read()
        assert any("celery" in line for line in children_with(folder))
        started.send_signal(signal.SIGINT)
        time.sleep(0.1)
        started.send_signal(signal.SIGINT)  # an impatient second Ctrl-C
        assert "Everything is stopped" in started.stdout.read()
        assert started.wait(30) == 0
        assert children_with(folder) == []
    finally:
        started.kill()


def test_a_killed_worker_loses_nothing(repository_root: Path, tmp_path: Path) -> None:
    """The worker is killed before the file comes in; it is started again, and the file is read."""
    folder, port = tmp_path / "data", free_port()
    around = environment() | {"SALUS_DATA_DIR": str(folder)}
    if os.environ.get("SALUS_TEST_REDIS_URL"):
        around["REDIS_URL"] = os.environ["SALUS_TEST_REDIS_URL"]
    manage = [sys.executable, str(repository_root / "manage.py")]
    started = subprocess.Popen([*manage, "up", "--no-demo", "--port", str(port)], env=around, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        next(line for line in started.stdout if "Salus is at" in line)
        program = "from salus_web.accounts.models import Site; Site.objects.create(code='one', name='One')"
        subprocess.run([*manage, "shell", "-c", program], env=around, check=True, capture_output=True)
        assert kill_workers(folder) >= 1
        (tmp_path / "one.json").write_text(json.dumps(bundle()))
        done = subprocess.run(
            [*manage, "ingest", str(tmp_path / "one.json")], env=around, capture_output=True, text=True, timeout=150, check=False
        )
        assert done.returncode == 0 and "one.json: Stored. patients 1" in done.stdout, done.stdout + done.stderr
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(30)


def test_every_part_that_is_killed_is_started_again(repository_root: Path, tmp_path: Path) -> None:
    """Queue, web and workers by SIGKILL, one after the other; then a file still comes in and is read."""
    folder, port = tmp_path / "data", free_port()
    around = environment() | {"SALUS_DATA_DIR": str(folder)}
    manage = [sys.executable, str(repository_root / "manage.py")]
    started = subprocess.Popen([*manage, "up", "--no-demo", "--port", str(port)], env=around, stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        next(line for line in started.stdout if "Salus is at" in line)
        program = "from salus_web.accounts.models import Site; Site.objects.create(code='one', name='One')"
        subprocess.run([*manage, "shell", "-c", program], env=around, check=True, capture_output=True)
        for words in (b"queue.sock", b"gunicorn", b"gpu@", b"cpu@"):
            assert kill_workers(folder, words) >= 1, words
            until_answering(port)
            assert started.poll() is None, f"everything stopped when {words!r} was killed"
        (tmp_path / "one.json").write_text(json.dumps(bundle()))
        done = subprocess.run(
            [*manage, "ingest", str(tmp_path / "one.json")], env=around, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0 and "one.json: Stored. patients 1" in done.stdout, done.stdout + done.stderr
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(30)
    assert children_with(folder) == []


def until_answering(port: int) -> None:
    """The sign-in page comes, for as long as a web server may take to start."""
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=10) as answer:
                assert answer.status == 200
                return
        except OSError:
            assert time.monotonic() < deadline, "the web server did not come back"
            time.sleep(0.5)


def kill_workers(folder: Path, words: bytes = b"cpu@") -> int:
    """SIGKILL to every process of this folder with these words on its command line."""
    killed = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ, line = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
            environ += os.readlink(process / "cwd").encode()  # the queue writes over the rest
        except OSError:
            continue
        if str(folder).encode() in environ + line and words in line:
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    return killed


def test_a_taken_port_is_one_sentence(repository_root: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(repository_root, f"Port {port} is taken", "--port", str(port), "--data-dir", str(tmp_path))


def test_a_folder_that_cannot_be_written_is_one_sentence(repository_root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused(repository_root, "cannot be written", "--port", str(free_port()), "--data-dir", str(tmp_path / "file" / "data"))


def refused(root: Path, words: str, *arguments: str) -> None:
    done = subprocess.run(command(root, *arguments), env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert words in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
