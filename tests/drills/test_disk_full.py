"""A disk that fills to its last byte: nothing is kept half, every refusal is in words, reading goes on while the reserve lasts.

The disk is a real file system of 96 MB in memory, mounted in a namespace of its own, so that ENOSPC comes from the kernel.
SQLite only: where PostgreSQL keeps its files is not ours to fill.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.drill, pytest.mark.slow]
OWN_DISK = ["unshare", "--user", "--map-root-user", "--mount"]
LEFT_OUT = {"DATABASE_URL", "REDIS_URL", "TMPDIR"}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, repository_root: Path) -> dict[str, Any]:
    """What the hospital on the small disk went through."""
    folder = tmp_path_factory.mktemp("small-disk")
    if subprocess.run([*OWN_DISK, "mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a file system of their own (user namespaces are off)")
    script = f'mount -t tmpfs -o size=96m tmpfs "{folder}" && mkdir "{folder}/temp" && exec "$@"'
    environment = {name: value for name, value in os.environ.items() if name not in LEFT_OUT} | {
        "SALUS_DATA_DIR": str(folder), "TMPDIR": str(folder / "temp"), "DJANGO_SETTINGS_MODULE": "tests.drills.disk_settings",
    }  # fmt: skip
    command = [*OWN_DISK, "sh", "-c", script, "sh", sys.executable, "-m", "tests.drills.disk_hospital", str(folder)]
    done = subprocess.run(command, env=environment, cwd=repository_root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    sys.stdout.write(json.dumps(found, indent=1))
    return found


def test_with_room_all_works(seen: dict[str, Any]) -> None:
    room = seen["room"]
    assert room["read"] == {"status": 200, "shows": True, "says": "", "inside": []} and room["door"]["taken"]
    assert room["held"] == {"uploads": 1, "patients": 1, "jobs": 1, "blobs": 1, "missing": 0, "of_nobody": 0, "arriving": 0}


def test_a_file_that_arrived_while_the_disk_filled_leaves_nothing(seen: dict[str, Any]) -> None:
    found = seen["while a file arrived"]
    for free, said in (("reserve", "almost full"), ("full", "disk of this system is full")):
        assert (found[free]["taken"], found[free]["says"], found[free]["inside"]) == (False, said, []), free
    assert found["held"] == seen["room"]["held"], "no segment of it stays"


def test_on_the_reserve_people_read_on_and_the_door_is_shut_in_words(seen: dict[str, Any]) -> None:
    before, found = seen["room"], seen["almost none"]
    assert found["all"] and found["read"]["shows"] and found["lines"] == before["lines"] + 50, "each reading is on the log"
    assert (found["door"]["status"], found["door"]["taken"], found["door"]["says"]) == (507, False, "almost full")
    assert found["work"]["state"] == "failed" and "full" in found["work"]["failure"]
    assert found["held"] == before["held"], "nothing of a refused file or a failed job is kept"


def test_on_a_full_disk_nothing_is_shown_unlogged_and_nothing_kept_half(seen: dict[str, Any]) -> None:
    before, found = seen["almost none"], seen["none"]
    assert found["inside"] == [] and found["door"]["inside"] == [] and found["big"]["inside"] == []
    assert found["refused_after"] >= 0, "the disk was never full"
    assert {tuple(kind) for kind in found["kinds"]} <= {(200, True, ""), (503, False, "log cannot be written"), (503, False, "disk of this system is full")}
    assert found["lines"] == before["lines"] + found["shown"], "what was shown is on the log, and nothing else"
    assert not found["door"]["taken"] and found["door"]["says"] and not found["big"]["taken"] and found["big"]["says"]
    assert found["front"] == 200 and found["held"] == before["held"]


def test_with_room_again_all_goes_on(seen: dict[str, Any]) -> None:
    found = seen["room again"]
    assert found["read"]["shows"] and found["door"]["taken"] and found["work"] == {"state": "done", "failure": ""}
    assert (found["log"], found["whole"]) == (0, "ok") and found["held"]["missing"] == 0
    assert found["held"]["uploads"] == 2 and found["held"]["patients"] == 2 and found["held"]["arriving"] == 0
