"""Every migration goes forward, back and forward, one at a time, and each leaves the database in the shape that it had there before.

What migrations that move data do to rows is tried where they are: `test_encryption_migration`, `test_audit_migration`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from salus_web.audit.scratch import scratch_database

pytestmark = pytest.mark.slow


def test_every_migration_goes_forward_back_and_forward(repository_root: Path) -> None:
    with scratch_database(migrated=False) as environment:
        command = [sys.executable, "-m", "tests.flow.migration_walker"]
        done = subprocess.run(command, env=environment, cwd=repository_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    sys.stdout.write(f"{found['walked']} migrations\n")
    assert found["walked"] >= 30 and found["left"] == []
    assert found["unlike"] == []
    assert found["same"]
