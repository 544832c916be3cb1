"""The processes of the jobs drill: a broker that can be wiped, workers that are killed, stopped and started anew."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from salus_web.dashboard.processes import Household, queue_part

WORKERS = 2


def children_of(parent: int) -> list[int]:
    """Ids of a process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        if int(words[1]) == parent and words[0] != "Z":
            found.append(int(stat.parent.name))
    return found


class House:
    """Broker and workers on a database of their own."""

    def __init__(self, environment: dict[str, str], root: Path, *, people: int = 0) -> None:
        self.data, self.people = Path(environment["SALUS_DATA_DIR"]), people
        self.root, self.household = root, Household(self.data / "logs")
        self.environment = environment | {"DJANGO_SETTINGS_MODULE": "tests.drills.jobs_settings", "OMP_NUM_THREADS": "1"}
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> House:
        self.python("manage.py", "migrate", "--verbosity", "0")
        if self.people:  # before anybody could take the jobs of it
            self.python("-m", "tests.drills.jobs_filler", str(self.people), settings="salus_web.config.settings.local")
        self.start_broker()
        for _ in range(WORKERS):
            self.workers.append(self.start_worker())
        self.until(lambda: all(children_of(worker.pid) for worker in self.workers), 60, "the workers do not start")
        return self

    def __exit__(self, *reason: object) -> None:
        for worker in self.workers:
            kill(worker.pid, signal.SIGCONT, group=True)
            kill(worker.pid, signal.SIGKILL, group=True)
            worker.wait()
        self.household.stop()

    def python(self, *arguments: str, settings: str = "") -> str:
        """Run a program to its end."""
        environment = self.environment | ({"DJANGO_SETTINGS_MODULE": settings} if settings else {})
        done = subprocess.run([sys.executable, *arguments], env=environment, cwd=self.root, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def ask(self, *arguments: str) -> Any:
        """A question to the database."""
        return json.loads(self.python("-m", "tests.drills.jobs_hospital", *arguments))

    def start_broker(self) -> None:
        """An empty broker, and its address where settings look for it."""
        shutil.rmtree(self.data / "queue", ignore_errors=True)
        part, address = queue_part(self.household, self.data)
        self.household.start(part)
        self.broker, socket = part.process, Path(address.removeprefix("redis+socket://"))
        (self.data / "queue" / "address").write_text(address)
        self.until(socket.exists, 10, "the broker does not start")

    def wipe_broker(self) -> None:
        """Kill the broker with all that it held, and start an empty one."""
        assert self.broker is not None
        self.broker.kill()
        self.broker.wait()
        self.household.parts.clear()
        Path(self.household.short_folder / "queue.sock").unlink(missing_ok=True)
        self.start_broker()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """A worker in a process group of its own."""
        command = [
            sys.executable, "-m", "celery", "-A", "tests.drills.jobs_worker", "worker", "-Q", "cpu", "-n", f"drill{time.monotonic_ns()}@%h",
            "--concurrency", "1", "--loglevel", "ERROR", "--without-gossip", "--without-mingle",
        ]  # fmt: skip
        with (self.data / "logs" / "drill-worker.log").open("ab") as log:
            return subprocess.Popen(command, env=self.environment, cwd=self.root, stdout=log, stderr=log, start_new_session=True)

    def kill_worker(self, number: int, *, child: bool) -> bool:
        """Kill a worker's child, or the worker with its child and start another; False when it is not up yet."""
        worker = self.workers[number]
        own = children_of(worker.pid)
        if not own:
            return False
        if child:
            for pid in own:
                kill(pid, signal.SIGKILL)
            return True
        kill(worker.pid, signal.SIGKILL)  # its children find out by themselves, or go on as orphans with their job
        worker.wait()
        self.workers[number] = self.start_worker()
        return True

    def kill_at_work(self, *asked: str, running: str) -> int:
        """Ask for work and kill every worker with its child while a job of it runs, whatever the machine's pace; returns how many."""
        deadline, numbers = time.monotonic() + 60, range(len(self.workers))
        stopped = [self.freeze_worker(number) for number in numbers]  # none may end its job while we ask or look
        self.ask(*asked)
        while not self.ask("count")["states"].get(running, 0):
            assert time.monotonic() < deadline, "no job runs"
            for worker in stopped:
                kill(worker, signal.SIGCONT, group=True)
            time.sleep(0.05)
            stopped = [self.freeze_worker(number) for number in numbers]
        for number in numbers:
            kill(stopped[number], signal.SIGKILL, group=True)
            self.workers[number].wait()
            self.workers[number] = self.start_worker()
        return len(stopped)

    def freeze_worker(self, number: int) -> int:
        """Stop a worker with its child; returns its id. On SQLite not within a write: a frozen writer would hold the one lock of the
        file, and everybody would wait for it, whatever the queue does."""
        worker = self.workers[number].pid
        while True:
            kill(worker, signal.SIGSTOP, group=True)
            if self._can_write():
                return worker
            kill(worker, signal.SIGCONT, group=True)
            time.sleep(0.05)

    def _can_write(self) -> bool:
        if self.environment.get("DATABASE_URL"):
            return True
        with closing(sqlite3.connect(self.data / "salus.sqlite3", timeout=2, isolation_level=None)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            database.execute("ROLLBACK")
        return True

    def until(self, ready: Any, seconds: float, otherwise: str) -> None:
        """Wait; AssertionError with the words otherwise."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, otherwise
            time.sleep(0.05)


def kill(pid: int, number: signal.Signals, *, group: bool = False) -> None:
    """Signal a process, or its group; one that is gone is gone."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except ProcessLookupError:
        return
