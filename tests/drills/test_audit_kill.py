"""Writers killed at random moments: afterwards no row is without its line in the log, no line without its row, none is lost.

SALUS_DRILL_KILLS says how many writers are killed (5; `./salus drill kill`: 100).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from salus_web.audit.scratch import scratch_database

pytestmark = [pytest.mark.drill, pytest.mark.slow]
KILLS = int(os.environ.get("SALUS_DRILL_KILLS", "5"))
WRITERS = 2
SECONDS_AT_MOST = 0.6


def run(module: str, argument: str, environment: dict[str, str], root: Path) -> str:
    command = [sys.executable, "-m", f"tests.drills.{module}", argument]
    return subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True, text=True).stdout


def wait_for_writing(file: Path, beyond: int, writer: subprocess.Popen[bytes]) -> None:
    """Until the file has grown: a process killed while it still starts proves nothing."""
    deadline = time.monotonic() + 60
    while not file.exists() or file.stat().st_size <= beyond:
        assert writer.poll() is None and time.monotonic() < deadline, "a writer does not write"
        time.sleep(0.01)


def test_no_kill_leaves_a_row_without_its_line(tmp_path: Path, repository_root: Path) -> None:
    chance, killed = random.Random(11), 0
    file = tmp_path / "acknowledged"
    with scratch_database() as environment:
        run("audit_counter", "--prepare", environment, repository_root)
        while killed < KILLS:
            size = file.stat().st_size if file.exists() else 0
            command = [sys.executable, "-m", "tests.drills.audit_writer", str(file)]
            writers = [subprocess.Popen(command, env=environment, cwd=repository_root) for _ in range(min(WRITERS, KILLS - killed))]
            try:
                for writer in writers:
                    wait_for_writing(file, size, writer)
                for writer in writers:
                    time.sleep(chance.uniform(0, SECONDS_AT_MOST))
                    assert writer.poll() is None, "a writer ended by itself"
                    writer.kill()
                    killed += 1
            finally:
                for writer in writers:
                    writer.kill()
                    writer.wait()
        found: dict[str, Any] = json.loads(run("audit_counter", str(file), environment, repository_root))
    assert found["rows"] >= killed
    assert found["stripes"] > 1 if environment["DATABASE_URL"] else found["stripes"] == 1, "writers waited for one another"
    wrong = {name: found[name] for name in ("without_a_line", "without_a_row", "twice", "lost", "code")}
    assert wrong == dict.fromkeys(wrong, 0), found
