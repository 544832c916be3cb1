"""A stay that comes to its index moment is asked for once, whatever stops, meets or turns the clock back meanwhile; and a look
costs the same however many stays there are."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import Site
from salus_web.audit.models import Event
from salus_web.common.clock import now
from salus_web.jobs import leases
from salus_web.jobs.models import Job, JobState
from salus_web.predictions import due
from salus_web.predictions.due import ask_when_due
from salus_web.predictions.models import CurrentRisk, DueMoment
from salus_web.predictions.services import data_changed
from salus_web.records.models import Encounter, Patient
from salus_web.registry.models import BundleState, BundleStep, ModelBundle
from salus_web.registry.services import move_bundle

from tests.factories.cohorts import say
from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, actor_of, client_of, make_patient, make_site, make_user
from tests.web.test_current_risks import outcome, store
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def bundle(db: None) -> ModelBundle:
    """Live since a year, and asked by the machine as well."""
    return live_for(365 * DAY)


def live_for(since: timedelta) -> ModelBundle:
    found = make_bundle()
    ModelBundle.objects.filter(pk=found.pk).update(requests_on_new_data=True)
    BundleStep.objects.create(bundle=found, from_state="candidate", to_state="live", by="x", by_name="x", why="good", at=now() - since)
    found.refresh_from_db()
    return found


def stay(patient: Patient, began: timedelta, lasted: timedelta | None = None, kind: str = "IMP", at: datetime | None = None) -> Encounter:
    """A stay that began this long ago."""
    start = at or now() - began
    return Encounter.objects.create(
        patient=patient, kind=kind, ward="A", starts_at=start, ends_at=start + lasted if lasted else None, source="t", source_key=f"{kind}{start}"
    )


def look(bundle: ModelBundle, turned: timedelta = timedelta(0), hours: int = 24) -> int:
    """A round by a clock that is turned on or back."""
    moment = leases.moment
    with pytest.MonkeyPatch.context() as clock:
        clock.setattr(leases, "moment", lambda: moment() + turned)
        return ask_when_due(bundle=bundle, delay=timedelta(hours=hours), by=SYSTEM)


def asked() -> list[str]:
    """Whom jobs wait for."""
    jobs = Job.objects.filter(kind="predict", state=JobState.QUEUED).values_list("payload", flat=True)
    return sorted(one for payload in jobs for one in payload["patient_ids"])


def ids(*patients: Patient) -> list[str]:
    return sorted(str(one.pk) for one in patients)


# --- who is asked for, and once


def test_a_stay_that_has_come_to_its_moment_since_the_last_look_is_asked_for_once(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    stay(patient, 25 * HOUR)
    assert look(bundle, -3 * HOUR) == 0 and asked() == []
    assert look(bundle) == 1 and asked() == ids(patient)
    job = Job.objects.get(kind="predict")
    assert job.payload["bundle_id"] == str(bundle.pk)
    assert set(Event.objects.filter(object_id=str(job.pk)).values_list("action", "patient", "actor_id")) == {
        ("job.queue", "", SYSTEM.id), ("prediction.request", patient.pseudonym, SYSTEM.id),
    }  # fmt: skip
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.FAILED):
        Job.objects.update(state=state)
        assert look(bundle) == 0 and Job.objects.count() == 1


@pytest.mark.parametrize(("began", "lasted", "kind"), [
    (23 * HOUR, None, "IMP"), (25 * HOUR, 23 * HOUR, "IMP"), (25 * HOUR, None, "case"), (-HOUR, None, "IMP"),
], ids=["too young", "ended before", "a case of a table", "planned"])  # fmt: skip
def test_no_other_stay_is_asked_for(site: Site, bundle: ModelBundle, began: timedelta, lasted: timedelta | None, kind: str) -> None:
    look(bundle, -3 * HOUR)
    stay(make_patient(site), began, lasted, kind)
    assert look(bundle) == 0 and asked() == []


def test_a_stay_that_was_taken_back_is_not_asked_for(site: Site, bundle: ModelBundle) -> None:
    look(bundle, -3 * HOUR)
    stay(make_patient(site), 25 * HOUR)
    Encounter.objects.for_actor(SYSTEM).update(is_taken_back=True)
    assert look(bundle) == 0 and asked() == []


def test_a_planned_stay_is_asked_for_when_it_has_begun_and_come_to_its_moment(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    stay(patient, -HOUR)
    assert [look(bundle, turned) for turned in (0 * HOUR, 24 * HOUR, 26 * HOUR)] == [0, 0, 1]


def test_a_worker_whose_clock_is_a_little_behind_would_find_the_stay_too_young_so_it_is_not_asked_for_yet(site: Site, bundle: ModelBundle) -> None:
    stay(make_patient(site), 24 * HOUR + timedelta(seconds=30))
    assert (look(bundle), look(bundle, timedelta(minutes=1))) == (0, 1)


def test_whoever_does_not_allow_it_or_was_erased_is_not_asked_for(site: Site, bundle: ModelBundle) -> None:
    look(bundle, -3 * HOUR)
    silent, erased, willing = (make_patient(site) for _ in range(3))
    for one in (silent, erased, willing):
        stay(one, 25 * HOUR)
    say(silent, False, purpose="care")
    Patient.objects.for_actor(SYSTEM).filter(pk=erased.pk).update(erased_at=now())
    assert look(bundle) == 1 and asked() == ids(willing)


def test_a_model_that_only_people_ask_is_not_asked(site: Site, bundle: ModelBundle) -> None:
    bundle.requests_on_new_data = False
    look(bundle, -3 * HOUR)
    stay(make_patient(site), 25 * HOUR)
    assert look(bundle) == 0 and asked() == []


@pytest.mark.parametrize(("changes", "times"), [
    ({}, 0), ({"probability": None}, 0), ({"early": True, "probability": None}, 1), ({"stale": True}, 1), ({"origin": "out_of_fold"}, 1),
], ids=["computed", "not computed", "too early", "data changed since", "of a training"])  # fmt: skip
def test_who_has_a_risk_as_of_the_moment_is_not_asked_for_again(site: Site, bundle: ModelBundle, changes: dict[str, Any], times: int) -> None:
    look(bundle, -3 * HOUR)
    patient = make_patient(site)
    row = stay(patient, 25 * HOUR)
    of = row.starts_at + (3 * HOUR if changes.get("early") else DAY)
    job = store(bundle, outcome(patient, changes.get("probability", 0.4), index_at=of), origin=changes.get("origin", "live"))
    if changes.get("stale"):
        CurrentRisk.objects.for_actor(SYSTEM).filter(patient=patient).update(state="stale")
    assert look(bundle) == times and Job.objects.exclude(pk=job.pk).count() == times


def test_a_job_that_new_data_asked_for_and_nobody_began_is_the_same(site: Site, bundle: ModelBundle) -> None:
    look(bundle, -3 * HOUR)
    patient = make_patient(site)
    stay(patient, 25 * HOUR)
    data_changed(patient_ids=ids(patient), by=SYSTEM)
    look(bundle)
    assert asked() == ids(patient)


# --- what stops, meets or turns the clock back


def test_a_beat_that_was_down_for_days_asks_for_all_page_by_page(site: Site, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    look(bundle, -9 * DAY)
    monkeypatch.setattr(due, "PAGE", 2)
    at_once = now() - 4 * DAY  # more of them began at one moment than a page holds
    patients = [make_patient(site) for _ in range(7)]
    for number, patient in enumerate(patients):
        stay(patient, 0 * HOUR, at=at_once if number < 5 else at_once + number * HOUR)
    assert look(bundle) == 7 and asked() == ids(*patients) and look(bundle) == 0


def test_a_round_stops_after_its_pages_and_the_next_goes_on(site: Site, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    look(bundle, -9 * DAY)
    monkeypatch.setattr(due, "PAGE", 2)
    monkeypatch.setattr(due, "PAGES_A_ROUND", 2)
    for hours in range(5):
        stay(make_patient(site), 4 * DAY + hours * HOUR)
    assert [look(bundle) for _ in range(3)] == [4, 1, 0]


def test_a_worker_that_dies_midway_has_asked_for_nothing_of_the_page_and_the_next_asks_for_all(
    site: Site, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(bundle, -9 * DAY)
    patients = [make_patient(site) for _ in range(3)]
    for patient in patients:
        stay(patient, 3 * DAY)
    request, done = due.request, []

    def die(**asking: Any) -> Job:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(asking)
        return request(**asking)

    with monkeypatch.context() as killed:
        killed.setattr(due, "request", die)
        with pytest.raises(KeyboardInterrupt):
            look(bundle)
    assert asked() == []
    assert look(bundle) == 3 and asked() == ids(*patients)


def test_a_clock_that_was_set_back_loses_no_stay_and_asks_for_none_twice(site: Site, bundle: ModelBundle) -> None:
    early, later = make_patient(site), make_patient(site)
    stay(early, 23 * HOUR)
    look(bundle)
    assert look(bundle, 3 * HOUR) == 1 and asked() == ids(early), "by the wrong clock"
    assert look(bundle) == 0
    stay(later, 22 * HOUR)
    look(bundle)
    look(bundle, 3 * HOUR)
    assert asked() == ids(early, later)


def test_a_clock_that_was_years_ahead_for_a_while_loses_no_stay(site: Site, bundle: ModelBundle) -> None:
    look(bundle, -3 * HOUR)
    before, after = make_patient(site), make_patient(site)
    stay(before, 25 * HOUR)
    assert look(bundle, 9 * 365 * DAY) == 1 and asked() == ids(before)
    look(bundle)
    stay(after, 22 * HOUR)
    assert (look(bundle), look(bundle, 3 * HOUR)) == (0, 1) and asked() == ids(before, after)


def test_a_model_made_live_by_a_clock_that_was_ahead_is_asked_all_the_same(site: Site) -> None:
    ahead = live_for(-90 * DAY)
    look(ahead, -3 * HOUR)
    patient = make_patient(site)
    stay(patient, 25 * HOUR)
    assert look(ahead) == 1 and asked() == ids(patient)


# --- which model, and from when on


def test_the_first_look_begins_with_those_who_came_to_their_moment_since_the_model_is_live(site: Site) -> None:
    before, since = make_patient(site), make_patient(site)
    stay(before, 30 * HOUR)
    stay(since, 26 * HOUR)
    assert look(live_for(3 * HOUR)) == 1 and asked() == ids(since)


def test_an_old_model_s_first_look_goes_back_a_week(site: Site, bundle: ModelBundle) -> None:
    old, new = make_patient(site), make_patient(site)
    stay(old, 9 * DAY)
    stay(new, 7 * DAY)
    assert look(bundle) == 1 and asked() == ids(new)


def test_a_model_that_takes_another_s_place_is_asked_from_where_the_other_was(site: Site, bundle: ModelBundle) -> None:
    look(bundle, -5 * HOUR)
    patient = make_patient(site)
    stay(patient, 26 * HOUR)
    new = live_for(HOUR)  # its moment passed while the beat was down, before the new model was live
    assert look(new) == 1 and asked() == ids(patient)


def test_after_a_long_time_without_a_model_nobody_is_asked_for_who_has_long_gone(site: Site, bundle: ModelBundle) -> None:
    look(bundle, -300 * DAY)
    gone, here = make_patient(site), make_patient(site)
    stay(gone, 100 * DAY)
    stay(here, 5 * DAY)
    assert look(live_for(HOUR)) == 1 and asked() == ids(here)


@pytest.mark.parametrize(("before", "after", "began"), [(24, 48, 49), (48, 24, 47)])
def test_a_model_that_speaks_at_another_hour_is_asked_at_its_own(site: Site, bundle: ModelBundle, before: int, after: int, began: int) -> None:
    look(bundle, -30 * HOUR, hours=before)
    patient = make_patient(site)
    row = stay(patient, began * HOUR)
    look(bundle, hours=before)
    Job.objects.filter(kind="predict").delete()
    if before < after:
        store(bundle, outcome(patient, 0.4, index_at=row.starts_at + before * HOUR))
    look(bundle, -2 * HOUR, hours=after)
    look(bundle, hours=after)
    assert asked() == ids(patient)


# --- what it costs


def test_the_stays_of_a_look_are_found_along_an_index(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    Encounter.objects.bulk_create(
        Encounter(patient=patient, kind="IMP", starts_at=now() - number * HOUR, source="t", source_key=f"n{number}") for number in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE records_encounter")
    with CaptureQueriesContext(connection) as found:
        look(bundle)
    query, *_ = [one["sql"] for one in found if '"records_encounter"."ends_at"' in one["sql"]]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # whether a few rows are sorted all the same is a matter of taste to its planner
            cursor.execute("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(("EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN ") + query.replace("%", "%%"))
        plan = " ".join(str(row) for row in cursor.fetchall())
    assert "encounters_by_start" in plan and "SCAN records_encounter" not in plan and "Sort" not in plan and "TEMP B-TREE" not in plan, plan


# --- what is told


def test_the_jobs_page_says_when_it_was_last_looked_and_how_many_were_asked_for(site: Site, bundle: ModelBundle) -> None:
    desk = client_of(make_user("administrator", site))
    assert "old enough" not in text_of(desk.get("/jobs/")), "no model waits for a stay, as far as is known"
    look(bundle, -3 * HOUR)
    stay(make_patient(site), 25 * HOUR)
    look(bundle)
    page = text_of(desk.get("/jobs/"))
    assert "are looked for every minute" in page and ": 1 risk asked for in all, the last " in page
    assert "Stays old enough for a model: last looked for just now; 1 risks asked for in all." in text_of(desk.get("/operations/"))
    DueMoment.objects.update(last_at=now() - timedelta(minutes=6))
    assert "✕ nobody looks for stays" in text_of(desk.get("/jobs/"))
    assert "✕ act now Stays old enough" in text_of(desk.get("/operations/"))
    move_bundle(bundle=bundle, to_state=BundleState.RETIRED, why="no more", by=actor_of(make_user("administrator", site)))
    assert "old enough" not in text_of(desk.get("/jobs/")) + text_of(desk.get("/operations/"))


# --- two at once


@pytest.fixture
def hospital(transactional_db: None) -> Iterator[ModelBundle]:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    yield live_for(365 * DAY)


def test_of_two_looks_at_once_one_asks(hospital: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    look(hospital, -3 * HOUR)
    patient = make_patient(make_site())
    stay(patient, 25 * HOUR)
    request, holding, go_on = due.request, threading.Event(), threading.Event()

    def pause(**asking: Any) -> Job:
        holding.set()
        go_on.wait(20)
        return request(**asking)

    def beside(act: Callable[[], int]) -> int:
        try:
            return act()
        finally:
            connections.close_all()

    monkeypatch.setattr(due, "request", pause)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(beside, lambda: look(hospital))
        assert holding.wait(20)
        second = pool.submit(beside, lambda: ask_when_due(bundle=hospital, delay=DAY, by=SYSTEM))
        assert second.result(20) == 0
        go_on.set()
        assert first.result(20) == 1
    assert asked() == ids(patient) and ask_when_due(bundle=hospital, delay=DAY, by=SYSTEM) == 0


def test_two_first_looks_at_once_both_end_well(hospital: ModelBundle) -> None:
    patient = make_patient(make_site())
    stay(patient, 25 * HOUR)
    both = threading.Barrier(2)

    def first() -> int:
        try:
            both.wait(20)
            return ask_when_due(bundle=hospital, delay=DAY, by=SYSTEM)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        assert sum(one.result(20) for one in [pool.submit(first), pool.submit(first)]) == 1
    assert asked() == ids(patient)
