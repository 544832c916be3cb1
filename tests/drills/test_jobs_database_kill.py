"""The database itself is killed under the workers: afterwards every job is done once, and no job is set aside for it.

20 jobs, 2 kills; SALUS_DRILL=long (`./salus drill jobs`): 100 jobs, 10 kills. PostgreSQL on a port of its own; SQLite has no server to kill.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.drills.jobs_house import House
from tests.drills.own_postgres import OwnPostgres, binaries

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LONG = os.environ.get("SALUS_DRILL") == "long"
JOBS, KILLS = (100, 10) if LONG else (20, 2)


def test_a_killed_database_loses_and_doubles_nothing(repository_root: Path) -> None:
    if binaries() is None:
        pytest.skip("there is no PostgreSQL server on this machine")
    chance, away = random.Random(9), 0.0
    with OwnPostgres() as server, tempfile.TemporaryDirectory(prefix="salus-drill-") as folder:
        environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        with House(environment | {"SALUS_DATA_DIR": folder, "DATABASE_URL": server.url}, repository_root) as house:
            house.ask("ask", str(JOBS), "2")
            for _ in range(KILLS):
                house.until(lambda: house.ask("mend").get("running", 0) > 0, 120, "no job runs")
                time.sleep(chance.uniform(0, 1))
                server.kill()
                started = time.monotonic()
                time.sleep(chance.uniform(0, 3))
                server.start()
                away += time.monotonic() - started
            deadline = time.monotonic() + 300
            while (told := house.ask("mend")).get("done", 0) < JOBS:
                assert time.monotonic() < deadline, told
                time.sleep(0.5)
            found = house.ask("count")
    sys.stdout.write(f"{JOBS} jobs, {KILLS} kills of the database, away for {away:.0f} s: {found}\n")
    assert found["states"] == {"drill done": JOBS}, found
    assert (found["wrong_results"], found["wrong_words"]) == (0, 0), found
    assert found["attempts"] > JOBS, "no kill hit a job: it proved nothing"
