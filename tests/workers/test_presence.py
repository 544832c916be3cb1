"""A worker's sign of life: what it says, when it says it, and that its silence stops no work."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import DatabaseError
from salus_web.jobs.celery import ASK_DUE, MEASURE, configure
from salus_workers.runtime import presence
from salus_workers.runtime.forking import not_while_forking
from salus_workers.tasks import measure as task


def sender(*queues: str) -> Any:
    app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from=set(queues))), sent=[])
    app.send_task = lambda name, *, queue: app.sent.append((name, queue))
    return SimpleNamespace(hostname="cpu@ward", app=app)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What would be written, without a database and without waiting."""
    found: list[tuple[str, Any]] = []
    monkeypatch.setattr(presence, "say_alive", lambda **told: found.append(("alive", told)))
    monkeypatch.setattr(presence, "say_ended", lambda **told: found.append(("ended", told)))
    monkeypatch.setattr(presence, "SAID_EVERY_SECONDS", 0.02)
    monkeypatch.setattr(presence, "_stop", threading.Event())
    monkeypatch.setattr(presence.connections, "close_all", lambda: None)
    return found


def until(found: list[tuple[str, Any]], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(found) < count:
        assert time.monotonic() < deadline, found
        time.sleep(0.01)


def test_it_says_so_again_and_again_and_at_its_end(said: list[tuple[str, Any]]) -> None:
    presence.begin(sender("gpu"))
    until(said, 3)
    presence.end(sender("gpu"))
    assert ("ended", {"name": "cpu@ward"}) in said
    first = said[0][1]
    assert (said[0][0], first["name"], first["queues"]) == ("alive", "cpu@ward", ["gpu"])
    assert len({told["started_at"] for word, told in said if word == "alive"}) == 1, "it began once"
    assert {"Salus", "Python", "django", "torch"} <= set(first["versions"]) and first["versions"]["torch"][0].isdigit()
    count = len(said)
    time.sleep(0.1)
    assert len(said) == count, "after its end it is silent"


def test_the_one_that_serves_the_beat_measures_and_looks_at_stays_at_once(said: list[tuple[str, Any]]) -> None:
    for queue, asked in (("cpu", [(MEASURE, "cpu"), (ASK_DUE, "cpu")]), ("gpu", [])):
        one = sender(queue)
        presence.begin(one)
        assert one.app.sent == asked
    presence.end(one)


def test_whoever_waited_for_its_turn_while_the_worker_ended_says_nothing(said: list[tuple[str, Any]]) -> None:
    with not_while_forking:
        presence.begin(sender("gpu"))
        time.sleep(0.1)  # its sign of life waits for the lock
        presence._stop.set()
    presence.end(sender("gpu"))
    time.sleep(0.1)
    assert [word for word, _ in said] == ["ended"], "an ended worker would stand on the page as missed"


def test_a_database_that_fails_stops_no_worker(said: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def fail(**told: Any) -> None:
        tries.append(1)
        raise DatabaseError("gone")

    monkeypatch.setattr(presence, "say_alive", fail)
    presence.begin(sender("gpu"))
    until(tries, 3)  # type: ignore[arg-type]
    presence.end(sender("gpu"))


def test_the_measures_are_on_the_beat() -> None:
    assert any(entry["task"] == MEASURE for entry in configure().conf.beat_schedule.values())
    assert task.measure_installation.name == MEASURE
