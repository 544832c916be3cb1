"""Backups taken while the site writes; then all of it is destroyed and each backup is put back: what was acknowledged before it is there.

2 backups; SALUS_DRILL=long (`./salus drill backup`): 10. One more is killed in the middle, and is no backup.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from salus_web.audit.scratch import scratch_database

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LONG = os.environ.get("SALUS_DRILL") == "long"
BACKUPS, WRITERS = (10 if LONG else 2), 2
SAFE = ("keys.json", "audit/signer.key")  # what an administrator keeps in a safe, and is in no backup


class Site:
    """An installation, and the place of its backups on another disk."""

    def __init__(self, environment: dict[str, str], root: Path, place: Path) -> None:
        self.environment, self.root, self.place = environment, root, place
        self.data = Path(environment["SALUS_DATA_DIR"])
        self.backup_words = ["backup", "--to", str(place / "backups"), "--key-file", str(place / "key")]

    def run(self, *words: str, code: int = 0) -> str:
        """A program to its end."""
        done = subprocess.run([sys.executable, *words], env=self.environment, cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == code and "Traceback" not in done.stderr, (done.stdout + done.stderr)[-3000:]
        return done.stdout or done.stderr

    def manage(self, *words: str, code: int = 0) -> str:
        """One of Salus's commands."""
        return self.run("manage.py", *words, code=code)

    @contextmanager
    def at_work(self, acknowledged: Path) -> Iterator[None]:
        """Writers, until they are killed."""
        command = [sys.executable, "-m", "tests.drills.backup_writer", str(acknowledged)]
        with (self.place / "writers.log").open("ab") as log:
            writers = [subprocess.Popen(command, env=self.environment, cwd=self.root, stderr=log) for _ in range(WRITERS)]
        try:
            while not acknowledged.exists() or acknowledged.read_text().count("\n") < WRITERS:
                time.sleep(0.05)
            yield
            assert [writer.poll() for writer in writers] == [None] * WRITERS, "a writer fell while backups were taken"
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()

    def kill_a_backup(self, chance: random.Random) -> None:
        """Kill one while it writes its files."""
        running = subprocess.Popen([sys.executable, "manage.py", *self.backup_words], env=self.environment, cwd=self.root)
        while not list((self.place / "backups").glob("*.half-done/*")):
            assert running.poll() is None, "the backup ended before it was killed"
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.05))
        running.kill()
        assert running.wait() != 0, "the backup ended before it was killed"


def take_all(site: Site, acknowledged: Path) -> dict[str, str]:
    """Backups under load → what was acknowledged before each began."""
    before, chance = {}, random.Random(7)
    with site.at_work(acknowledged):
        site.kill_a_backup(chance)
        for _ in range(BACKUPS):
            known = acknowledged.read_text()
            site.manage("audit_checkpoint")
            name = site.manage(*site.backup_words).partition(":")[0].strip()
            before[name] = known[: known.rfind("\n") + 1]
            time.sleep(chance.uniform(0, 1))
    site.manage("backup", "--person-keys", str(site.place / "person-keys"), "--key-file", str(site.place / "key"))
    return before


def put_back(name: str, known: str, site: Site) -> dict[str, Any]:
    """One backup in an empty place, with what lay in the safe; what is there then."""
    place = site.place
    said = site.manage("restore", "--from", str(place / "backups" / name), "--key-file", str(place / "key"))
    assert "are as they were" in said and "whole" in said, said
    shutil.copy(place / "person-keys", site.data / "person-keys.sqlite3")
    site.manage("migrate", "-v", "0")
    (place / "known").write_text(known)
    found: dict[str, Any] = json.loads(site.run("-m", "tests.drills.backup_checker", str(place / "known")))
    site.manage("verify_log")
    return found


def test_what_was_acknowledged_before_a_backup_is_there_after_it_is_put_back(tmp_path: Path, repository_root: Path) -> None:
    (tmp_path / "backups").mkdir()
    (tmp_path / "safe" / "audit").mkdir(parents=True)
    with scratch_database() as environment:
        site = Site(environment, repository_root, tmp_path)
        site.manage("migrate", "-v", "0")
        site.manage("backup", "--make-key", "--key-file", str(tmp_path / "key"))
        before = take_all(site, tmp_path / "acknowledged")
        for name in SAFE:
            shutil.copy(site.data / name, tmp_path / "safe" / name)
    assert not Path(environment["SALUS_DATA_DIR"]).exists(), "the site is destroyed"
    assert len(before) == BACKUPS and len(list((tmp_path / "backups").glob("*.half-done"))) == 1
    for name, known in before.items():
        with scratch_database(migrated=False) as environment:
            shutil.copytree(tmp_path / "safe", environment["SALUS_DATA_DIR"], dirs_exist_ok=True)
            found = put_back(name, known, Site(environment, repository_root, tmp_path))
        sys.stdout.write(f"{name}: {found}\n")
        wrong = ("lost", "unread", "broken", "without_a_line", "lines_of_nothing", "without_a_job", "log", "log_after")
        assert {what: found[what] for what in wrong} == dict.fromkeys(wrong, 0), found
        assert found["acknowledged"] >= WRITERS and found["uploads"] >= found["acknowledged"]
