"""Whatever is killed, stopped or wiped: every job is done once, and a job that kills its worker is set aside with its reason.

20 risks, 6 kills, 1 wipe; SALUS_DRILL=long (`./salus drill jobs`): 200 risks, 60 kills, 2 wipes.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from salus_web.audit.scratch import scratch_database

from tests.drills.jobs_house import House, kill

pytestmark = [pytest.mark.drill, pytest.mark.slow]
LONG = os.environ.get("SALUS_DRILL") == "long"
RISKS, KILLS, WIPES = (200, 60, 2) if LONG else (20, 6, 1)
PEOPLE_AT_LEAST = 40  # whom a model needs
PARENTS = 0.3  # share of the kills that hit the worker itself and not its child


@pytest.fixture
def house(repository_root: Path) -> Iterator[House]:
    with scratch_database() as environment, House(environment, repository_root) as found:
        yield found


@pytest.fixture
def hospital(repository_root: Path) -> Iterator[House]:
    """The same with people and a live model."""
    with scratch_database() as environment, House(environment, repository_root, people=max(RISKS, PEOPLE_AT_LEAST)) as found:
        yield found


def finish_all(house: House, jobs: int, seconds: float) -> None:
    """Rounds of the reconciler until so many jobs are done."""
    deadline = time.monotonic() + seconds
    while (told := house.ask("mend")).get("done", 0) < jobs:
        assert time.monotonic() < deadline, f"after {seconds:g} s only {told}"
        time.sleep(0.5)


def test_every_risk_is_stored_once_under_kills_and_wipes(hospital: House) -> None:
    house, chance, wiped, started = hospital, random.Random(3), 0, time.monotonic()
    asked = 2 * RISKS // KILLS
    killed = house.kill_at_work("risks", "0", str(asked), running="predict running")  # the others fall where they fall
    while killed < KILLS:
        wanted = min(RISKS, RISKS * (killed + 2) // KILLS)  # so that there is work at each kill
        asked += house.ask("risks", str(asked), str(wanted - asked))["asked"] if wanted > asked else 0
        time.sleep(chance.uniform(0, 1.2))
        killed += house.kill_worker(chance.randrange(len(house.workers)), child=chance.random() > PARENTS)
        if wiped < WIPES and killed > KILLS * (wiped + 1) / (WIPES + 1):
            house.wipe_broker()
            wiped += 1
        house.ask("mend")
    finish_all(house, RISKS, 600 if LONG else 240)
    found = house.ask("told")
    sys.stdout.write(f"{RISKS} risks, {killed} kills, {wiped} wipes, {time.monotonic() - started:.0f} s: {found}\n")
    assert (found["asked"], found["done"], found["rows"], found["current"]) == (RISKS, RISKS, RISKS, RISKS), found
    wrong = ("not_one_row", "of_no_job", "not_one_word", "not_one_line", "lines_of_nothing", "wrong_receipts")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0), found
    assert wiped == WIPES and found["maps"] > 0 and found["attempts"] > RISKS, "no kill hit a job: it proved nothing"


def test_a_worker_that_wakes_after_its_lease_stores_nothing(house: House) -> None:
    house.ask("ask", "4", "8")  # longer than it takes to ask whether both work
    house.until(lambda: house.ask("mend").get("running", 0) == len(house.workers), 60, "no job runs")
    zombie = house.freeze_worker(0)
    finish_all(house, 4, 60)
    kill(zombie, signal.SIGCONT, group=True)
    time.sleep(4)  # it ends its work now, and is late
    found = house.ask("count")
    assert found["states"] == {"drill done": 4} and (found["wrong_results"], found["wrong_words"]) == (0, 0), found
    assert found["attempts"] > 4, "nobody took the stopped worker's job over"


def test_an_id_that_comes_many_times_is_done_once(house: House) -> None:
    house.ask("ask", "10", "0.2")
    house.ask("twice")
    finish_all(house, 10, 60)
    time.sleep(3)
    found = house.ask("count")
    assert (found["wrong_results"], found["wrong_words"], found["attempts"]) == (0, 0, 10), found


def test_a_job_that_kills_its_worker_is_set_aside_and_others_go_on(house: House) -> None:
    house.ask("ask", "1", "0.1", "poison")
    house.ask("ask", "5", "0.1")
    house.until(lambda: house.ask("mend").get("quarantined", 0) == 1, 90, "the poison was not set aside")
    finish_all(house, 5, 60)
    found = house.ask("count")
    assert found["states"] == {"drill done": 5, "poison quarantined": 1}
    assert "3 times" in found["poison"][0] and found["wrong_results"] == 0
