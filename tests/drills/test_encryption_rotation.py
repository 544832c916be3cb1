"""Keys rotate while the site writes, and the rotation is killed again and again: nothing is lost, and the old key is not needed.

500 patients and 3 kills; SALUS_DRILL=long: 10,000 patients.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from salus_web.audit.scratch import scratch_database

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LONG = os.environ.get("SALUS_DRILL") == "long"
PATIENTS, KILLS = (10_000 if LONG else 500), 3
SECONDS_AT_MOST = 120.0


def python(root: Path, environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], env=environment, cwd=root, check=True, capture_output=True, text=True)
    return done.stdout


def rotating(root: Path, environment: dict[str, str], tables: int, *options: str) -> subprocess.Popen[str]:
    """A rotation that is through with so many tables, in this run or in those before it."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "rotate_keys", *options], env=environment | {"PYTHONUNBUFFERED": "1"}, cwd=root,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        tables -= line.rstrip().endswith(("wrapping keys anew", " moved"))
        if tables < 0:
            return process
    raise AssertionError("the rotation ended before it was killed")


def kill_some(root: Path, environment: dict[str, str], chance: random.Random) -> float:
    """Kill so many rotations in the middle of their work; returns the seconds they had in all."""
    spent = 0.0
    for number in range(KILLS):
        started = time.monotonic()
        process = rotating(root, environment, number, *(["--new"] if number == 0 else []))
        time.sleep(chance.uniform(0, 0.05 if not LONG else 1))
        assert process.poll() is None, "a rotation was through before it was killed"
        process.kill()
        process.wait()
        spent += time.monotonic() - started
    return spent


def worked() -> float:
    """Seconds of a core that ended children took: what a busy machine leaves as it is."""
    spent = os.times()
    return spent.children_user + spent.children_system


def without(key: str, folder: Path) -> None:
    """Take a key out of the key file, as the administrator does."""
    path = folder / "keys.json"
    said = json.loads(path.read_text())
    del said["data_keys"][key]
    path.write_text(json.dumps(said))


def test_no_kill_of_a_rotation_loses_anything(tmp_path: Path, repository_root: Path) -> None:
    chance, acknowledged = random.Random(5), tmp_path / "acknowledged"
    with scratch_database() as environment:
        folder = Path(environment["SALUS_DATA_DIR"])
        python(repository_root, environment, "manage.py", "migrate", "--verbosity", "0")
        python(repository_root, environment, "-m", "tests.drills.encryption_filler", "fill", str(PATIENTS))
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.drills.encryption_writer", str(acknowledged)], env=environment, cwd=repository_root
        )
        try:
            while not acknowledged.exists() or not acknowledged.stat().st_size:
                assert writer.poll() is None, "the writer does not write"
                time.sleep(0.05)
            began = worked()
            seconds = kill_some(repository_root, environment, chance)
            cores = worked() - began
            before = python(repository_root, environment, "-m", "tests.drills.encryption_filler", "check", str(PATIENTS), str(acknowledged))
            started, began = time.monotonic(), worked()
            said = python(repository_root, environment, "manage.py", "rotate_keys")
            seconds, cores = seconds + time.monotonic() - started, cores + worked() - began
            assert writer.poll() is None, "the writer fell"
        finally:
            writer.kill()
            writer.wait()
        halfway: dict[str, Any] = json.loads(before)
        assert (halfway["wrong"], halfway["lost"]) == (0, 0), halfway
        assert "The key k1 is no longer used by anything here" in said, said
        without("k1", folder)
        after = python(repository_root, environment, "-m", "tests.drills.encryption_filler", "check", str(PATIENTS), str(acknowledged))
    found: dict[str, Any] = json.loads(after)
    sys.stdout.write(f"{PATIENTS} patients, {KILLS} kills, {seconds:.1f} s, {cores:.1f} s of them at work on a core; halfway {halfway}; in the end {found}\n{said}\n")
    assert (found["wrong"], found["lost"], found["under_a_master_key"]) == (0, 0, 0), found
    assert found["acknowledged"] > halfway["acknowledged"] > 0
    left = re.search(r"Moved ([\d,]+) to the key k2", said)
    assert left is not None and int(left[1].replace(",", "")) >= PATIENTS, "the kills came too late to prove anything"
    assert seconds < SECONDS_AT_MOST
