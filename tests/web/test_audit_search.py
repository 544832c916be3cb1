"""Searching the log: every line that fits is found once, whatever is asked together; each search walks an index; a page is bounded."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from salus_web.audit import search, services
from salus_web.audit.models import Event
from salus_web.audit.search import find, find_all
from salus_web.audit.selectors import PAGE, Wanted, machines
from salus_web.audit.services import Act, record, record_many
from salus_web.common.clock import now

from tests.factories.people import SYSTEM, actor_of, make_site, make_user

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMN = {"person": "actor_id", "action": "action", "patient": "patient", "purpose": "purpose", "outcome": "outcome"}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """400 lines over 200 hours, several at the same moment, of three people and the machine."""
    chance, site = random.Random(5), make_site()
    actors = [SYSTEM, *(actor_of(make_user("clinician", site)) for _ in range(3))]
    for number in range(400):
        moment = START + timedelta(minutes=30 * (number - number % 3))
        monkeypatch.setattr(services, "now", lambda moment=moment: moment)
        act = Act(
            chance.choice(["patient.read", "image.read", "job.done"]), "patient", str(number), chance.choice(["", "aa" * 16, "bb" * 16]),
            chance.choice(["", "care", "care", "research"]), chance.choice(["done", "done", "done", "refused", "failed"]),
        )  # fmt: skip
        record(act, by=chance.choice(actors))
    monkeypatch.setattr(services, "now", now)
    return list(Event.objects.order_by("-at", "-number"))


def fits(line: Event, wanted: Wanted) -> bool:
    """The same question, asked of each line by itself."""
    same = all(getattr(line, column) == value for name, column in COLUMN.items() if (value := getattr(wanted, name)))
    return same and (wanted.since is None or line.at >= wanted.since) and (wanted.until is None or line.at < wanted.until)


def everything(wanted: Wanted) -> list[int]:
    """All pages, one after another."""
    found: list[int] = []
    for _ in range(500):
        page = find(wanted=wanted)
        assert len(page.rows) <= PAGE
        found += [row.number for row in page.rows]
        if page.next_before is None:
            return found
        wanted = replace(wanted, before_number=page.next_before)
    raise AssertionError("the pages do not end")


def questions(lines: list[Event], count: int) -> list[Wanted]:
    """Random questions, each of some of the things that can be asked."""
    chance = random.Random(8)
    asked = []
    for _ in range(count):
        like, other = chance.choice(lines), chance.choice(lines)
        wanted = {name: getattr(chance.choice([like, like, other]), column) for name, column in COLUMN.items() if chance.random() < 0.4}
        since = like.at - timedelta(hours=chance.randint(0, 90)) if chance.random() < 0.4 else None
        until = like.at + timedelta(hours=chance.randint(0, 90)) if chance.random() < 0.4 else None
        asked.append(Wanted(**wanted, since=since, until=until))
    return asked


@pytest.mark.parametrize("stretches", [(500, 20_000), (3, 10), (60, 60)])
def test_every_line_that_fits_is_found_once_and_in_order(lines: list[Event], monkeypatch: pytest.MonkeyPatch, stretches: Any) -> None:
    monkeypatch.setattr(search, "STRETCHES", stretches)
    monkeypatch.setattr(search, "FEW", stretches[0])
    for wanted in [Wanted(), *questions(lines, 60)]:
        right = [line.number for line in lines if fits(line, wanted)]
        assert everything(wanted) == right, wanted
        assert [line.number for line in find_all(wanted=wanted, at_most=1000)] == right


def test_a_page_that_ends_early_says_how_far_it_looked(lines: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "STRETCHES", (5, 20))
    page = find(wanted=Wanted(purpose="care", outcome="done"))
    assert page.looked_back_to == lines[19].at and page.next_before == lines[19].number
    assert [row.number for row in page.rows] == [line.number for line in lines[:20] if line.purpose == "care" and line.outcome == "done"]


def test_an_end_that_is_no_line_changes_nothing(lines: list[Event]) -> None:
    assert find(wanted=Wanted(before_number=10**15)).rows[0].number == lines[0].number


ALONE = {
    "event_at": Wanted(since=START, until=START + timedelta(days=2)), "event_actor": Wanted(person="system:test"),
    "event_patient": Wanted(patient="aa" * 16), "event_action": Wanted(action="job.done"), "event_outcome": Wanted(outcome="refused"),
    "event_purpose": Wanted(purpose="research"),
}  # fmt: skip


@pytest.mark.parametrize("index", ALONE)
def test_each_thing_asked_walks_its_own_index_in_order(lines: list[Event], index: str) -> None:
    """The plan of the statement itself: a search by this index, and no sorting."""
    with CaptureQueriesContext(connection) as asked:
        find(wanted=ALONE[index])
    (query,) = asked
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
        explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
        plan = " ".join(str(row) for row in cursor.execute(explain + query["sql"]).fetchall())
    assert index in plan and "SCAN e" not in plan and "Seq Scan" not in plan and "TEMP B-TREE" not in plan and "Sort" not in plan, plan


def test_of_two_things_the_rarer_one_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    record_many([Act("job.done")] * 40, by=SYSTEM)
    record_many([Act("keys.rotated")], by=SYSTEM)
    monkeypatch.setattr(search, "FEW", 10)
    walk, rest = search._plan(Wanted(person="system:test", action="keys.rotated"), search._Sql())
    assert "action = %s" in walk.where and rest.where == "actor_id = %s"


def test_a_search_costs_few_questions_however_long_the_log_is() -> None:
    def cost(wanted: Wanted) -> int:
        with CaptureQueriesContext(connection) as asked:
            find(wanted=wanted)
        return len(asked)

    both = Wanted(person="system:test", action="image.read", outcome="failed")
    for count in (10, 800):
        record_many([Act("image.read")] * count, by=SYSTEM)
        assert cost(Wanted()) == cost(Wanted(person="system:test")) == 1
        assert cost(both) <= 3 + 2 + 1


def test_the_parts_of_the_machine_are_offered_once() -> None:
    record_many([Act("x.read")] * 3, by=SYSTEM)
    record(Act("x.read"), by=actor_of(make_user("clinician", make_site())))
    assert machines() == ["system:test"]
