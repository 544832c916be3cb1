"""Forks one reading child after the other from a process that has loaded the readers already: the same code under the same
limits as behind the door, without half a second of starting Python each time. `python -m tests.drills.hostile_nursery`.

Both ways: an 8-byte length, a JSON document, then bytes; see `tests.drills.test_hostile_files`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import orjson
from salus_web.ingest import parse_child
from salus_workers.adapters import cases_child

MAINS: dict[str, Callable[[], int]] = {"read": parse_child.main, "cases": cases_child.main}
WALL_SECONDS = 60


def main() -> None:
    """Until nothing more is asked."""
    while head := sys.stdin.buffer.read(8):
        asked = orjson.loads(sys.stdin.buffer.read(int.from_bytes(head, "big")))
        frame = sys.stdin.buffer.read(asked["bytes"])
        answer, told = _raise_one(asked, frame)
        told["bytes"] = len(answer)
        said = orjson.dumps(told)
        sys.stdout.buffer.write(len(said).to_bytes(8, "big") + said + answer)
        sys.stdout.buffer.flush()


def _raise_one(asked: dict[str, int | str], frame: bytes) -> tuple[bytes, dict[str, float]]:
    """What one child said, how it ended and what it took."""
    file = os.memfd_create("mutant")
    os.write(file, frame)
    os.lseek(file, 0, os.SEEK_SET)
    taken, given = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _live(asked, file, given)
    os.close(file)
    os.close(given)
    with os.fdopen(taken, "rb") as stream:
        answer = stream.read()
    _, status, used = os.wait4(child, 0)
    told = {"code": os.waitstatus_to_exitcode(status), "kilobytes": used.ru_maxrss, "seconds": time.monotonic() - started,
            "cpu": used.ru_utime + used.ru_stime}  # fmt: skip
    return answer, told


def _live(asked: dict[str, int | str], file: int, given: int) -> None:
    """The child's whole life."""
    code = 70
    try:
        signal.alarm(WALL_SECONDS)
        os.dup2(file, 0)
        os.dup2(given, 1)
        sys.stdin, sys.stdout = os.fdopen(0, "r", closefd=False), os.fdopen(1, "w", closefd=False)
        sys.argv = ["child", str(asked["memory"]), str(asked["cpu"])]
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = MAINS[str(asked["main"])]()
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
