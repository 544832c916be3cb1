"""What meets while a risk is stored, with two connections on PostgreSQL: a second first risk, a withdrawal, a worker that is quicker
than the data. On SQLite there is one writer, so none of these can meet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, connections, transaction
from salus_web.jobs.models import Job
from salus_web.jobs.services import claim
from salus_web.predictions import services
from salus_web.predictions.models import CurrentRisk, Prediction, Review
from salus_web.predictions.services import request, withdraw_risks
from salus_web.registry.models import BundleState
from salus_web.registry.services import move_bundle

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, make_site, make_user, relate
from tests.web.test_current_risks import current, outcome, store

pytestmark = pytest.mark.django_db(transaction=True)
WAIT_SECONDS = 20


@pytest.fixture
def person() -> Person:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    return make_person(make_site(), "Qrace", make_bundle())


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Any]]]:
    """Does something in another thread, over a connection of its own."""

    def closing(act: Callable[..., Any], *values: Any, **named: Any) -> Any:
        try:
            return act(*values, **named)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        yield lambda act, *values, **named: pool.submit(closing, act, *values, **named)


def test_two_first_risks_of_one_patient_at_once_are_both_stored(
    person: Person, beside: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    CurrentRisk.objects.for_actor(SYSTEM).all().delete()
    both, set_current = threading.Barrier(2), services._set_current

    def meet(*values: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            both.wait(2)  # where nobody waits for the other, both have looked before either has written
        set_current(*values)

    monkeypatch.setattr(services, "_set_current", meet)
    candidate = make_bundle(BundleState.CANDIDATE)
    doing = [
        beside(store, person.prediction.bundle, outcome(person.patient, 0.4)),
        beside(store, candidate, outcome(person.patient, 0.5), origin="out_of_fold"),
    ]
    assert [Job.objects.get(pk=one.result(WAIT_SECONDS).pk).state for one in doing] == ["done", "done"]
    assert current(person.patient).sort_probability == 0.4 and Prediction.objects.for_actor(SYSTEM).count() == 3


def test_a_withdrawal_waits_for_a_risk_that_is_being_stored_and_takes_it_back(
    person: Person, beside: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    storing, go_on, set_current = threading.Event(), threading.Event(), services._set_current

    def pause(*values: Any) -> None:
        set_current(*values)
        storing.set()
        go_on.wait(WAIT_SECONDS)

    def withdraw() -> None:
        with transaction.atomic():
            moved = move_bundle(bundle=person.prediction.bundle, to_state=BundleState.WITHDRAWN, why="wrong", by=SYSTEM)
            withdraw_risks(bundle=moved, by=SYSTEM)

    CurrentRisk.objects.for_actor(SYSTEM).all().delete()  # so that there is no row of it that both would wait for
    monkeypatch.setattr(services, "_set_current", pause)
    stored = beside(store, person.prediction.bundle, outcome(person.patient, 0.77))
    assert storing.wait(WAIT_SECONDS)
    withdrawn = beside(withdraw)
    threading.Timer(1, go_on.set).start()
    stored.result(WAIT_SECONDS)
    withdrawn.result(WAIT_SECONDS)
    assert (current(person.patient).state, current(person.patient).sort_probability) == ("withdrawn", None)


def test_of_two_clicks_at_once_one_judgement_is_kept(
    person: Person, beside: Callable[..., Future[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    nurse = make_user("clinician", person.patient.site)
    relate(nurse, person.patient)
    both, looked = threading.Barrier(2), services._last_judgement

    def meet(*values: Any) -> Review | None:
        found = looked(*values)
        with suppress(threading.BrokenBarrierError):
            both.wait(2)
        return found

    monkeypatch.setattr(services, "_last_judgement", meet)
    said = {"prediction": person.prediction, "decision": "override", "reason_code": "knows_more", "note": "palliative"}
    clicks = [beside(services.review, **said, by=actor_of(nurse)) for _ in range(2)]
    assert len({one.result(WAIT_SECONDS).pk for one in clicks}) == 1 == Review.objects.for_actor(SYSTEM).count()


def test_no_worker_begins_a_job_before_the_data_that_asks_for_it_can_be_read(person: Person, beside: Callable[..., Future[Any]]) -> None:
    ask = {"patient_ids": [str(person.patient.pk)], "bundle": person.prediction.bundle, "why": "new data", "by": SYSTEM}
    waiting = request(**ask)
    with transaction.atomic():
        assert request(**ask).pk == waiting.pk
        begun = beside(claim, job_id=str(waiting.pk), worker="quick")
        with pytest.raises(TimeoutError):
            begun.result(1)
    assert begun.result(WAIT_SECONDS) is not None


def test_a_job_that_a_worker_is_taking_is_passed_over(person: Person, beside: Callable[..., Future[Any]]) -> None:
    """Instead of waiting for it: its worker reads what was there before."""
    ask = {"patient_ids": [str(person.patient.pk)], "bundle": person.prediction.bundle, "why": "new data", "by": SYSTEM}
    taken = request(**ask)
    with transaction.atomic():
        assert claim(job_id=str(taken.pk), worker="quick") is not None
        assert beside(request, **ask).result(WAIT_SECONDS).pk != taken.pk
