"""Planted words go through the real door, a kill falls into the middle of writing, and no byte on disk shows one of them.

44 words in 4 files of each kind; SALUS_DRILL=long: 220. The words that stay readable on purpose are looked for as well, and
must be found: a search that finds nothing might be blind.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from salus_web.common.memory_place import IN_MEMORY, open_folder

from tests.drills.encryption_words import READABLE, WORDS_EACH, found_in, needles, planted

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LONG = os.environ.get("SALUS_DRILL") == "long"
FILES = 20 if LONG else 4
KILLS = 5 if LONG else 2


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A data folder and a folder for temporary files of its own; SQLite, because a server's files are not ours to search."""
    (tmp_path / "temp").mkdir()
    left_out = {"DATABASE_URL", "REDIS_URL", "SALUS_DATA_DIR", "TMPDIR"}
    return {name: value for name, value in os.environ.items() if name not in left_out} | {
        "SALUS_DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path / "temp"),
        "DJANGO_SETTINGS_MODULE": "salus_web.config.settings.local",
    }  # fmt: skip


def planter(root: Path, environment: dict[str, str], seed: str, done: Path) -> subprocess.Popen[bytes]:
    logs = Path(environment["SALUS_DATA_DIR"]) / "logs"
    logs.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.drills.encryption_planter", seed, str(FILES), str(done)]
    with (logs / "planter.log").open("ab") as log:
        return subprocess.Popen(command, env=environment, cwd=root, stdout=log, stderr=log)


def kill_while_writing(root: Path, environment: dict[str, str], seed: str, done: Path) -> None:
    """Let it store something, and kill it while it stores the next."""
    chance = random.Random(3)
    for number in range(KILLS):
        process = planter(root, environment, seed, done)
        while not done.exists() or len(done.read_text().split()) <= number:
            assert process.poll() is None, "the planter ended by itself"
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.kill()
        process.wait()


def every_file(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_planted_word_is_on_the_disk(tmp_path: Path, repository_root: Path, environment: dict[str, str]) -> None:
    seed, done, data = secrets.token_hex(8), tmp_path / "done", tmp_path / "data"
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], env=environment, cwd=repository_root, check=True)
    kill_while_writing(repository_root, environment, seed, done)
    after_kill = tmp_path / "after-kill"
    shutil.copytree(data, after_kill)  # as the kill left it: the write-ahead log is not folded in
    assert planter(repository_root, environment, seed, done).wait() == 0, (data / "logs" / "planter.log").read_text()[-2000:]
    assert len(set(done.read_text().split())) == FILES
    with sqlite3.connect(data / "salus.sqlite3") as source, sqlite3.connect(tmp_path / "backup.sqlite3") as target:
        source.backup(target)
    files = every_file(tmp_path)
    names = {path.name for path in files}
    assert {"salus.sqlite3", "salus.sqlite3-wal", "person-keys.sqlite3", "backup.sqlite3", "planter.log"} <= names
    wanted = needles(seed, FILES)
    assert found_in(files, wanted) == []
    shown = [name for name, word in READABLE.items() if not found_in(files, {word.encode(): name})]
    assert shown == [], "the search is blind, or this is sealed by now"
    sys.stdout.write(f"{FILES * WORDS_EACH} words, {len(wanted)} forms, {len(files)} files, {sum(p.stat().st_size for p in files):,} bytes\n")


def test_the_search_finds_each_form(tmp_path: Path) -> None:
    word, pixels = planted("s", 1)["note"], bytes.fromhex(planted("s", 1)["pixels"])
    wanted = needles("s", 2)
    for number, body in enumerate([word.encode(), word.upper().encode(), word.encode("utf-16-le"), word.encode().hex().encode(), pixels]):
        (tmp_path / str(number)).write_bytes(b"before" + body + b"after")
        assert found_in([tmp_path / str(number)], wanted), number
    for offset in range(3):
        coded = subprocess.run(["base64", "-w0"], input=b"x" * offset + word.encode() + b"tail", capture_output=True, check=True).stdout
        (tmp_path / "b").write_bytes(coded)
        assert found_in([tmp_path / "b"], wanted), offset


def test_files_that_lie_open_for_a_while_lie_in_memory_and_are_cleared_after_a_kill() -> None:
    if not IN_MEMORY.is_dir():
        pytest.skip("this machine has no folder in memory")
    prefix = f"salus-drill-{secrets.token_hex(4)}-"
    script = (
        "import os, pathlib, signal\n"
        "from salus_web.common.memory_place import open_folder\n"
        f"with open_folder('{prefix}', size_bytes=100) as folder:\n"
        "    (folder / 'plain').write_text('open')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert len(list(IN_MEMORY.glob(f"{prefix}*/plain"))) == 1
    assert not list(Path(tempfile.gettempdir()).glob(f"{prefix}*"))
    with open_folder(prefix, size_bytes=100) as folder:
        assert folder.parent == IN_MEMORY and not list(IN_MEMORY.glob(f"{prefix}*/plain"))
        assert folder.stat().st_mode & 0o777 == 0o700
    with open_folder(prefix, size_bytes=1 << 60) as folder:
        assert folder.parent != IN_MEMORY
    assert not list(IN_MEMORY.glob(f"{prefix}*"))
