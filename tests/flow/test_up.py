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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from salus_web.dashboard.processes import check_folder

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


def pids_of(folder: Path) -> list[int]:
    """Processes whose environment, command line or working folder names the data folder, but for this one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            told += os.readlink(process / "cwd").encode()  # the queue writes over the rest
        except OSError:
            continue
        if str(folder).encode() in told and int(process.name) != os.getpid():
            found.append(int(process.name))
    return found


def line_of(pid: int) -> str:
    """Its command line; empty once it is gone or only waits to be noticed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def children_with(folder: Path) -> list[str]:
    """The command lines of what runs for the data folder."""
    return [line for line in map(line_of, pids_of(folder)) if line]


def open_to_others(folder: Path) -> list[str]:
    """What of the data folder, itself included, somebody else of this machine may read or write."""
    return [str(path) for path in (folder, *folder.rglob("*")) if path.lstat().st_mode & 0o077 and not path.is_symlink()]


@contextmanager
def running(command: list[str], folder: Path, around: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`up`, once it says where; asked to stop at the end, and whatever became of the test, nothing of its folder is left running."""
    started = subprocess.Popen(command, env=around, umask=0o022, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert started.stdout is not None
        said = []
        for line in started.stdout:
            said.append(line)
            if "Salus is at" in line:
                break
        else:
            pytest.fail("it did not start: " + "".join(said)[-2000:])
        yield started
        if started.poll() is None:
            started.send_signal(signal.SIGINT)
        started.wait(30)
        assert children_with(folder) == []
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                started.wait(30)
            started.kill()
            started.wait()
        for pid in pids_of(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_up_answers_and_leaves_nothing_behind(repository_root: Path, tmp_path: Path) -> None:
    folder, port = tmp_path / "data", free_port()
    with running(command(repository_root, "--port", str(port), "--data-dir", str(folder)), folder, environment()) as started:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login/", timeout=10) as answer:
            assert answer.status == 200 and b"Sign in" in answer.read()
        assert open_to_others(folder) == []
        assert any("celery" in line for line in children_with(folder))
        started.send_signal(signal.SIGINT)
        time.sleep(0.1)
        started.send_signal(signal.SIGINT)  # an impatient second Ctrl-C
        assert started.stdout is not None and "Everything is stopped" in started.stdout.read()
        assert started.wait(30) == 0


def test_what_a_command_makes_is_its_owners_alone(repository_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    around = environment() | {"SALUS_DATA_DIR": str(folder)}
    manage = [sys.executable, str(repository_root / "manage.py")]
    subprocess.run([*manage, "migrate", "audit", "--verbosity", "0"], env=around, check=True, umask=0o022)
    assert (folder / "salus.sqlite3").exists() and open_to_others(folder) == []


def test_a_folder_from_before_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    check_folder(tmp_path, {})
    assert tmp_path.stat().st_mode & 0o777 == 0o755, "a folder that is not ours stays as it is"
    (tmp_path / "keys.json").touch()
    check_folder(tmp_path, {})
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_a_killed_worker_loses_nothing(repository_root: Path, tmp_path: Path) -> None:
    """The worker is killed before the file comes in; it is started again, and the file is read."""
    folder, port = tmp_path / "data", free_port()
    around = environment() | {"SALUS_DATA_DIR": str(folder)}
    if os.environ.get("SALUS_TEST_REDIS_URL"):
        around["REDIS_URL"] = os.environ["SALUS_TEST_REDIS_URL"]
    with running(command(repository_root, "--port", str(port)), folder, around):
        make_a_site(repository_root, around)
        assert kill_workers(folder) >= 1
        a_file_is_read(repository_root, tmp_path, around)


def test_every_part_that_is_killed_is_started_again(repository_root: Path, tmp_path: Path) -> None:
    """Queue, web and workers by SIGKILL, one after the other; then a file still comes in and is read."""
    folder, port = tmp_path / "data", free_port()
    around = environment() | {"SALUS_DATA_DIR": str(folder)}
    with running(command(repository_root, "--port", str(port)), folder, around) as started:
        make_a_site(repository_root, around)
        for words in ("queue.sock", "gunicorn", "gpu@", "cpu@"):
            assert kill_workers(folder, words) >= 1, words
            until_answering(port)
            assert started.poll() is None, f"everything stopped when {words!r} was killed"
        a_file_is_read(repository_root, tmp_path, around)


def make_a_site(root: Path, around: dict[str, str]) -> None:
    program = "from salus_web.accounts.models import Site; Site.objects.create(code='one', name='One')"
    subprocess.run([sys.executable, str(root / "manage.py"), "shell", "-c", program], env=around, check=True, capture_output=True)


def a_file_is_read(root: Path, folder: Path, around: dict[str, str]) -> None:
    """One file from the door to the record."""
    (folder / "one.json").write_text(json.dumps(bundle()))
    asked = [sys.executable, str(root / "manage.py"), "ingest", str(folder / "one.json")]
    done = subprocess.run(asked, env=around, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and "one.json: Stored. patients 1" in done.stdout, done.stdout + done.stderr


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


def kill_workers(folder: Path, words: str = "cpu@") -> int:
    """SIGKILL to every process of this folder with these words on its command line."""
    killed = [pid for pid in pids_of(folder) if words in line_of(pid)]
    for pid in killed:
        with suppress(ProcessLookupError):  # a child may be gone with its parent
            os.kill(pid, signal.SIGKILL)
    return len(killed)


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
