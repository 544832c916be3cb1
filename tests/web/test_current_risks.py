"""Which result becomes a patient's current risk: never one of a model that may not speak, of older data, or of an older moment;
and what new data does to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.common import keyring, vault
from salus_web.common.clock import now
from salus_web.common.errors import StateConflict
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import claim
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.predictions.services import Outcome, data_changed, request, store_results, withdraw_risks
from salus_web.records.models import Patient
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.services import move_bundle

from tests.factories.cohorts import say
from tests.factories.hospital import Person, make_bundle, make_job, make_person
from tests.factories.people import SYSTEM, actor_of, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


def outcome(patient: Patient, probability: float | None, **changes: Any) -> Outcome:
    """A result of a patient as of now, from all that is here."""
    version = Patient.objects.for_actor(SYSTEM).get(pk=patient.pk).data_version
    columns = {
        "state": "failed" if probability is None else "computed", "why": "", "index_at": now(), "probability": probability, "low": 0.1,
        "high": 0.9, "reference_probability": 0.2, "margin": 0.1, "reference_margin": 0.0, "threshold": 0.3, "pattern": "record",
        "prediction_set": [],
    }  # fmt: skip
    receipt = {"outputs": columns}
    version = changes.pop("data_version", version)
    return Outcome(str(patient.pk), None, columns | changes, {"reasons": []}, receipt, (), version)


def store(bundle: ModelBundle, *outcomes: Outcome, origin: str = "live", job: Job | None = None) -> Job:
    """The end of a job that gave these results."""
    job = job or make_job("predict", "queued")
    held = claim(job_id=str(job.pk), worker="test")
    assert held is not None
    store_results(claim=held, bundle=bundle, outcomes=outcomes, origin=origin, by=SYSTEM)
    return job


def current(patient: Patient) -> CurrentRisk:
    return CurrentRisk.objects.for_actor(SYSTEM).select_related("prediction").get(patient=patient)


def shown(browser: Client) -> str:
    return text_of(browser.get("/worklist/", {"task": "t48"}))


# --- a model that may not speak


def test_a_model_withdrawn_while_it_computed_puts_no_number_on_the_list(person: Person, bundle: ModelBundle, browser: Client, site: Site) -> None:
    begun = outcome(person.patient, 0.77)
    administrator = actor_of(make_user("administrator", site))
    withdrawn = move_bundle(bundle=bundle, to_state=BundleState.WITHDRAWN, why="an alarm was missed", by=administrator)
    withdraw_risks(bundle=withdrawn, by=administrator)
    with pytest.raises(StateConflict, match="withdrawn"):
        store(bundle, begun)
    assert current(person.patient).state == "withdrawn" and "77 %" not in shown(browser)
    assert Prediction.objects.for_actor(SYSTEM).count() == 1


@pytest.mark.parametrize("state", [BundleState.RETIRED, BundleState.CANDIDATE])
def test_a_model_that_is_not_live_does_not_overwrite_the_live_ones_risk(person: Person, bundle: ModelBundle, state: str) -> None:
    old = make_bundle(state)
    with pytest.raises(StateConflict, match="not the live one"):
        store(old, outcome(person.patient, 0.77))
    assert current(person.patient).prediction_id == person.prediction.pk


def test_a_withdrawn_model_gives_no_out_of_fold_risks(site: Site) -> None:
    person = make_person(site, "Qfold", make_bundle())
    with pytest.raises(StateConflict, match="withdrawn"):
        store(make_bundle(BundleState.WITHDRAWN), outcome(person.patient, 0.77), origin="out_of_fold")


# --- training beside a live model


@pytest.mark.parametrize("state", ["computed", "stale", "withdrawn", "abstained"])
def test_training_leaves_a_live_models_risk_as_it_is(person: Person, state: str) -> None:
    CurrentRisk.objects.for_actor(SYSTEM).update(state=state, sort_probability=0.31 if state == "computed" else None)
    store(make_bundle(BundleState.CANDIDATE), outcome(person.patient, 0.08), origin="out_of_fold")
    kept = current(person.patient)
    assert (kept.state, kept.prediction_id) == (state, person.prediction.pk)
    assert Prediction.objects.for_actor(SYSTEM).filter(origin="out_of_fold").count() == 1  # kept, for the report and the history


@pytest.mark.parametrize(("state", "days_before", "replaced"), [
    ("computed", 1, True), ("computed", -1, False), ("computed", 0, False),
    ("stale", 1, True), ("withdrawn", 1, True), ("stale", 0, True), ("withdrawn", 0, True), ("stale", -1, False),
])  # fmt: skip
def test_training_replaces_an_out_of_fold_risk_that_is_older_or_of_the_same_moment_and_no_longer_stands(
    person: Person, state: str, days_before: int, replaced: bool
) -> None:
    moment = now()
    at = moment - timedelta(days=days_before)
    Prediction.objects.for_actor(SYSTEM).update(origin="out_of_fold", index_at=at)
    CurrentRisk.objects.for_actor(SYSTEM).update(state=state, sort_probability=None)
    store(make_bundle(BundleState.CANDIDATE), outcome(person.patient, 0.08, index_at=moment), origin="out_of_fold")
    kept = current(person.patient)
    assert (kept.prediction_id != person.prediction.pk) == replaced and kept.state == ("computed" if replaced else state)


def test_training_gives_a_first_risk_and_a_live_model_replaces_it(person: Person, bundle: ModelBundle) -> None:
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=person.patient).delete()
    store(make_bundle(BundleState.CANDIDATE), outcome(person.patient, 0.08, index_at=now() + timedelta(hours=1)), origin="out_of_fold")
    assert current(person.patient).sort_probability == 0.08
    store(bundle, outcome(person.patient, 0.4))
    assert (current(person.patient).sort_probability, current(person.patient).change) == (0.4, None)


# --- data that comes while a risk is made


def test_a_risk_from_before_the_newest_data_is_stale_from_the_start(person: Person, bundle: ModelBundle, browser: Client) -> None:
    begun = outcome(person.patient, 0.77)  # has read its rows
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    store(bundle, begun)
    kept = current(person.patient)
    assert (kept.state, kept.sort_probability, kept.change) == ("stale", None, None)
    assert "77 %" not in shown(browser) and "data changed" in shown(browser)
    store(bundle, outcome(person.patient, 0.5))
    assert (current(person.patient).state, current(person.patient).sort_probability) == ("computed", 0.5)


def test_a_first_risk_from_before_the_newest_data_is_stale_as_well(person: Person, bundle: ModelBundle) -> None:
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=person.patient).delete()
    begun = outcome(person.patient, 0.77)
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    store(bundle, begun)
    assert current(person.patient).state == "stale"


def test_a_late_job_does_not_overwrite_the_risk_from_newer_data(person: Person, bundle: ModelBundle) -> None:
    late = outcome(person.patient, 0.77)
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    store(bundle, outcome(person.patient, 0.5))
    store(bundle, late)
    assert (current(person.patient).state, current(person.patient).sort_probability) == ("computed", 0.5)


def test_an_older_moment_by_the_same_model_does_not_overwrite_a_newer_one(person: Person, bundle: ModelBundle) -> None:
    store(bundle, outcome(person.patient, 0.08, index_at=now() - timedelta(days=700)))
    assert current(person.patient).prediction_id == person.prediction.pk
    newer = make_bundle()  # of a task that may speak of an earlier hour of the same stay
    store(newer, outcome(person.patient, 0.08, index_at=now() - timedelta(days=1)))
    assert current(person.patient).sort_probability == 0.08


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DONE, JobState.FAILED])
def test_only_a_job_that_nobody_began_takes_a_new_request(person: Person, bundle: ModelBundle, state: str) -> None:
    ask = {"patient_ids": [str(person.patient.pk)], "bundle": bundle, "why": "new data", "by": SYSTEM}
    first = request(**ask)
    assert request(**ask).pk == first.pk
    Job.objects.filter(pk=first.pk).update(state=state)
    second = request(**ask)
    assert second.pk != first.pk and request(**ask).pk == second.pk
    assert Job.objects.filter(kind="predict", state=JobState.QUEUED).count() == 1


def test_a_waiting_job_takes_a_request_of_a_later_minute(person: Person, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = {"patient_ids": [str(person.patient.pk)], "bundle": bundle, "why": "new data", "by": SYSTEM}
    first = request(**ask)
    later = now() + timedelta(minutes=3)
    monkeypatch.setattr("salus_web.predictions.services.now", lambda: later)
    assert request(**ask).pk == first.pk


def test_data_that_comes_while_a_job_runs_is_asked_for_anew(person: Person, bundle: ModelBundle) -> None:
    """Two files of one patient within a minute: the second finds the first one's job running."""
    ModelBundle.objects.filter(pk=bundle.pk).update(requests_on_new_data=True)
    ids = [str(person.patient.pk)]
    data_changed(patient_ids=ids, by=SYSTEM)
    first = Job.objects.get(kind="predict", state=JobState.QUEUED)
    held = claim(job_id=str(first.pk), worker="test")
    begun = outcome(person.patient, 0.77)
    assert held is not None
    data_changed(patient_ids=ids, by=SYSTEM)
    store_results(claim=held, bundle=bundle, outcomes=[begun], origin="live", by=SYSTEM)
    assert current(person.patient).state == "stale"
    store(bundle, outcome(person.patient, 0.5), job=Job.objects.get(kind="predict", state=JobState.QUEUED))
    assert current(person.patient).sort_probability == 0.5


def test_new_data_takes_the_number_off_a_list_that_is_open(person: Person, browser: Client) -> None:
    seen = {"task": "t48", "since": current(person.patient).updated_at.isoformat()}
    assert browser.get("/worklist/", seen).status_code == 204
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    answer = browser.get("/worklist/", seen)
    assert answer.status_code == 200 and "data changed" in text_of(answer) and "31 %" not in text_of(answer)


# --- what is kept of it


def test_the_change_is_told_across_new_data_and_only_within_one_model(person: Person, bundle: ModelBundle) -> None:
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    store(bundle, outcome(person.patient, 0.41))
    assert current(person.patient).change == pytest.approx(0.10)
    store(make_bundle(), outcome(person.patient, 0.9))
    assert current(person.patient).change is None


def test_asking_again_of_one_moment_leaves_the_change_and_draws_that_moment_once(person: Person, bundle: ModelBundle, browser: Client) -> None:
    """Asked again without new data, a list once said of everybody that nothing had changed."""
    moment = now()
    for probability in (0.41, 0.41, 0.43):
        store(bundle, outcome(person.patient, probability, index_at=moment))
    page = browser.get("/worklist/", {"task": "t48"}).content.decode()
    assert current(person.patient).change == pytest.approx(0.12) and ">+12</td>" in page
    assert 'aria-label="risk so far: 31 %, 43 %"' in page
    assert Prediction.objects.for_actor(SYSTEM).count() == 4, "what was answered stays stored"


def test_a_first_moment_asked_again_has_no_change(person: Person, bundle: ModelBundle, browser: Client) -> None:
    store(bundle, outcome(person.patient, 0.31, index_at=person.prediction.index_at))
    assert current(person.patient).change is None and "+0" not in text_of(browser.get("/worklist/", {"task": "t48"}))


def test_of_one_moment_the_line_so_far_ends_with_the_risk_now(person: Person, bundle: ModelBundle, browser: Client) -> None:
    """Not with one from older data that came in later."""
    moment, late = now(), outcome(person.patient, 0.77)
    data_changed(patient_ids=[str(person.patient.pk)], by=SYSTEM)
    store(bundle, outcome(person.patient, 0.5, index_at=moment))
    late.columns["index_at"] = moment
    store(bundle, late)
    assert 'aria-label="risk so far: 31 %, 50 %"' in browser.get("/worklist/", {"task": "t48"}).content.decode()


def test_queries_to_store_do_not_grow_with_the_people_asked_again(person: Person, bundle: ModelBundle, site: Site) -> None:
    people, moment, taken = [make_person(site, f"Qmany{at}", bundle).patient for at in range(6)], now(), []
    for asked in (people, people[:1], people):
        with CaptureQueriesContext(connection) as seen:
            store(bundle, *(outcome(patient, 0.4, index_at=moment) for patient in asked))
        taken.append(len([query for query in seen if query["sql"].startswith("SELECT") and '"predictions_prediction"' in query["sql"]]))
    assert len(set(taken)) == 1


def test_a_receipt_says_who_asked(person: Person, bundle: ModelBundle, clinician: User) -> None:
    job = request(patient_ids=[str(person.patient.pk)], bundle=bundle, why="asked for", by=actor_of(clinician))
    store(bundle, outcome(person.patient, 0.4), job=job)
    row = Prediction.objects.for_actor(SYSTEM).get(job=job)
    receipt = orjson.loads(vault.get(row.receipt_key, sha256=row.receipt_sha256))
    assert row.requested_by == receipt["asked_by"] == str(clinician.pk)


def test_who_is_erased_or_takes_care_back_meanwhile_is_left_out_and_the_others_are_stored(
    person: Person, bundle: ModelBundle, site: Site, own_places: None
) -> None:
    gone, erasing, silent = (make_person(site, token, bundle).patient for token in ("Qgone", "Qgoing", "Qsilent"))
    results = [outcome(patient, 0.4) for patient in (gone, erasing, silent, person.patient)]
    Patient.objects.for_actor(SYSTEM).filter(pk=gone.pk).update(erased_at=now())
    keyring.destroy(f"person:{erasing.pk}")
    say(silent, False, purpose="care")
    before = Event.objects.filter(action="prediction.store").count()
    job = store(bundle, *results)
    job.refresh_from_db()
    assert (job.state, job.result) == ("done", {"predictions": 1, "left_out": 3})
    assert list(Prediction.objects.for_actor(SYSTEM).filter(job=job).values_list("patient_id", flat=True)) == [person.patient.pk]
    assert Event.objects.filter(action="prediction.store").count() == before + 1
