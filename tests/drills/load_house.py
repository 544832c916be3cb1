"""The house of the load drill: a database of its own, the web server as `./salus up` starts it, and locust before it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from salus_web.audit.scratch import scratch_database
from salus_web.dashboard.processes import Household, answers, web_part

ROOT = Path(__file__).resolve().parents[2]
OPEN = "The demonstration hospital is open"
# everybody comes from one address here, as from a hospital behind one: see docs/developer/load.md
ONE_ADDRESS = {"SALUS_TRIES_PER_ADDRESS": "100", "SALUS_REQUESTS_PER_ADDRESS": "600"}
PEOPLE_A_SECOND = 2.0
ALL_IN_SECONDS = 180.0


def locust() -> Path | None:
    """Where locust is installed, in an environment of its own (`./salus drill load` makes it)."""
    told = os.environ.get("SALUS_LOCUST")
    found = Path(told) if told else ROOT / ".venv-load" / "bin" / "locust"
    return found if found.exists() else None


@dataclass
class House:
    """A running platform, and what is asked of it."""

    environment: dict[str, str]
    port: int
    roster: Path = field(init=False)

    def __post_init__(self) -> None:
        self.roster = Path(self.environment["SALUS_DATA_DIR"]) / "load-roster.json"

    def ask(self, *arguments: str) -> Any:
        """A question to the database."""
        command = [sys.executable, "-m", "tests.drills.load_hospital", *arguments]
        done = subprocess.run(command, env=self.environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout)

    def load(self, people: int, seconds: float, *, hostile: bool, pause: str = "1-2") -> dict[str, Any]:
        """So many people for so long after all of them are in, with or without the one who means harm; what was seen and
        owed, what the log holds, and when everybody was in."""
        self.ask("people", str(people), str(self.roster))
        mark = self.ask("mark")["number"]
        with tempfile.TemporaryDirectory() as folder:
            crowd, harm = Path(folder) / "crowd", Path(folder) / "harm"
            running = [self._locust("load_people", crowd, people, pause)]
            try:
                _until(crowd.with_suffix(".in").exists, ALL_IN_SECONDS, "not everybody could sign in")
                started = time.time()
                if hostile:
                    running.append(self._locust("load_hostile", harm, 1, "0-0"))
                time.sleep(seconds)
            finally:
                for process in running[::-1]:
                    process.terminate()
                    process.wait(120)
            found = json.loads(crowd.read_text())
            other = json.loads(harm.read_text()) if hostile else {"owed": {}, "unclear": {}, "statuses": {}}
        counted = self.ask("count", str(mark), str(self.roster))
        return {
            "seen": found["seen"], "owed": found["owed"] | other["owed"], "harm": other["statuses"], "held": counted, "started": started, "unclear": other["unclear"],
        }  # fmt: skip

    def _locust(self, name: str, result: Path, people: int, pause: str) -> subprocess.Popen[bytes]:
        program = locust()
        assert program is not None, "locust is not installed"
        command = [
            str(program), "-f", str(ROOT / "tests" / "drills" / f"{name}.py"), "--headless", "--users", str(people),
            "--spawn-rate", str(PEOPLE_A_SECOND), "--stop-timeout", "90",
            "--host", f"http://127.0.0.1:{self.port}", "--only-summary", "--loglevel", "ERROR", "--exit-code-on-error", "0",
        ]  # fmt: skip
        around = {name: value for name, value in os.environ.items() if not name.startswith(("SALUS_", "DATABASE_", "DJANGO_"))}
        around |= {"SALUS_LOAD_ROSTER": str(self.roster), "SALUS_LOAD_RESULT": str(result), "SALUS_LOAD_PAUSE": pause, "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(command, env=around, cwd=ROOT, stdout=sys.stderr, stderr=sys.stderr)


@contextmanager
def small_house() -> Iterator[House]:
    """An empty database with a ward of nine, and the web server alone: no workers, no queue."""
    with scratch_database(migrated=False) as environment:
        house = House(environment | ONE_ADDRESS | {"SALUS_MFA": "required"}, free_port())
        _manage(house.environment, "migrate", "--verbosity", "0")
        house.ask("small")
        household = Household(Path(environment["SALUS_DATA_DIR"]) / "logs")
        part = web_part(house.port)
        part.environment |= house.environment
        try:
            household.start(part)
            _until(lambda: answers(house.port), 60, "the web server does not start")
            yield house
        finally:
            household.stop()


@contextmanager
def demonstration(folder: Path | None) -> Iterator[House]:
    """The demonstration hospital, opened by `manage.py up` with all its parts. With a folder it is kept there, or found there
    open from the time before (and DATABASE_URL is used as it is); without, all of it is gone afterwards."""
    if folder is None:
        with scratch_database(migrated=False) as environment:
            yield from _up(environment)
        return
    folder.mkdir(parents=True, exist_ok=True)
    yield from _up(dict(os.environ) | {"SALUS_DATA_DIR": str(folder.resolve()), "DJANGO_SETTINGS_MODULE": "salus_web.config.settings.local"})


def _up(environment: dict[str, str]) -> Iterator[House]:
    house = House(environment | ONE_ADDRESS | {"SALUS_MFA": "required"}, free_port())
    said = Path(environment["SALUS_DATA_DIR"]) / "up.log"
    with said.open("wb") as log:
        command = [sys.executable, "manage.py", "up", "--port", str(house.port)]
        running = subprocess.Popen(command, env=house.environment, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
    try:
        _until(lambda: OPEN in said.read_text() or running.poll() is not None, 3600, "the demonstration hospital does not open")
        if running.poll() is not None:
            raise SystemExit(said.read_text())
        yield house
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _manage(environment: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], env=environment, cwd=ROOT, check=True, stdout=sys.stderr)


def _until(ready: Any, seconds: float, otherwise: str) -> None:
    """Wait; TimeoutError with the words otherwise."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(otherwise)
        time.sleep(0.2)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
