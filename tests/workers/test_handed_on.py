"""A model goes off duty while jobs wait for it: their patients are asked of the one that is live now, once; and where there is none,
the job ends in words and is no failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from salus_learn.contracts import PatientSnapshot
from salus_learn.tasks.loader import load_task
from salus_web.audit.models import Event
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import claim
from salus_web.predictions.models import Prediction
from salus_web.predictions.services import request
from salus_web.records.models import Patient
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.services import move_bundle
from salus_workers.pipelines import predict
from salus_workers.tasks.run_job import run_claimed

from tests.factories.cohorts import say
from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, actor_of, client_of, make_patient, make_site, make_user, relate
from tests.factories.simulated import TASK, run
from tests.web.test_pages_clinician import text_of
from tests.workers.test_predict import DAY, risk_of, said, stay

pytestmark = pytest.mark.django_db


@pytest.fixture
def old(monkeypatch: pytest.MonkeyPatch) -> ModelBundle:
    """A live model. This one, and each that follows it, says 31 % of everybody."""
    monkeypatch.setattr(predict, "loaded", lambda row: SimpleNamespace(model=SimpleNamespace(task=load_task(TASK)), digest=row.digest))
    monkeypatch.setattr(predict, "score", score)
    return make_bundle()


def score(bundle: Any, snapshots: list[PatientSnapshot]) -> list[Any]:
    return [said(bundle, one) for one in snapshots]


@pytest.fixture
def patient() -> Patient:
    found = make_patient(make_site())
    stay(found, 3 * DAY)
    return found


def ask(bundle: ModelBundle, *patients: Patient, by: Any = SYSTEM) -> Job:
    return request(patient_ids=[str(one.pk) for one in patients], bundle=bundle, why="test", by=by)


def replaced(bundle: ModelBundle) -> ModelBundle:
    """Another model of the same question takes its place."""
    return move_bundle(bundle=make_bundle(BundleState.CANDIDATE), to_state=BundleState.LIVE, why="better", by=SYSTEM)


def waiting() -> list[Job]:
    return list(Job.objects.filter(kind="predict", state=JobState.QUEUED))


def test_the_patients_of_a_waiting_job_are_asked_of_the_model_that_took_the_place(old: ModelBundle, patient: Patient) -> None:
    job, new = ask(old, patient), replaced(old)
    ended = run(job)
    assert (ended.state, ended.failure, ended.result["predictions"]) == ("done", "", 0)
    (asked,) = waiting()
    assert asked.payload["bundle_id"] == str(new.pk) and asked.payload["patient_ids"] == [str(patient.pk)]
    assert Event.objects.filter(action="prediction.request", patient=patient.pseudonym, object_id=str(asked.pk)).count() == 1
    assert run(asked).state == "done" and risk_of(patient).prediction.bundle_id == new.pk and waiting() == []


def test_two_jobs_that_waited_for_the_same_patient_become_one(old: ModelBundle, patient: Patient) -> None:
    first = ask(old, patient)
    Job.objects.filter(pk=first.pk).update(state=JobState.RUNNING)
    second = ask(old, patient)
    Job.objects.filter(pk=first.pk).update(state=JobState.QUEUED)
    replaced(old)
    assert (run(first).state, run(second).state) == ("done", "done")
    assert len(waiting()) == 1


def test_a_worker_that_died_while_it_handed_on_asked_for_nothing(old: ModelBundle, patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = ask(old, patient), replaced(old)

    def die(**_: Any) -> None:
        raise KeyboardInterrupt  # nothing catches it, as nothing catches a kill

    with monkeypatch.context() as killed:
        killed.setattr("salus_web.predictions.services.finish", die)
        held = claim(job_id=str(job.pk), worker="killed")
        assert held is not None
        with pytest.raises(KeyboardInterrupt):
            run_claimed(held)
    assert waiting() == []
    Job.objects.filter(pk=job.pk).update(state=JobState.QUEUED)
    assert run(job).state == "done" and len(waiting()) == 1


def test_a_model_replaced_while_it_computes_hands_on_as_well(old: ModelBundle, patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ModelBundle] = []

    def meanwhile(bundle: Any, snapshots: list[PatientSnapshot]) -> list[Any]:
        made.append(replaced(old))
        return score(bundle, snapshots)

    monkeypatch.setattr(predict, "score", meanwhile)
    assert run(ask(old, patient)).state == "done"
    assert Prediction.objects.for_actor(SYSTEM).count() == 0
    assert [job.payload["bundle_id"] for job in waiting()] == [str(made[0].pk)]


def test_who_asked_stays_who_asked(old: ModelBundle, patient: Patient) -> None:
    nurse = make_user("clinician", patient.site)
    relate(nurse, patient)
    job, _ = ask(old, patient, by=actor_of(nurse)), replaced(old)
    run(job)
    run(waiting()[0])
    assert risk_of(patient).prediction.requested_by == str(nurse.pk)


def test_whoever_took_care_back_or_was_erased_is_not_asked_anew(old: ModelBundle, patient: Patient) -> None:
    silent = make_patient(patient.site)
    job, _ = ask(old, patient, silent), replaced(old)
    say(silent, False, purpose="care")
    run(job)
    (asked,) = waiting()
    assert asked.payload["patient_ids"] == [str(patient.pk)]
    Job.objects.filter(pk=asked.pk).update(state=JobState.DONE)
    alone = ask(old, silent)
    assert run(alone).state == "done" and waiting() == [] and "allows" in alone.result["why"]


@pytest.mark.parametrize("state", [BundleState.RETIRED, BundleState.WITHDRAWN])
def test_where_no_model_is_live_the_job_says_so_and_nobody_is_called_to_repair_it(old: ModelBundle, patient: Patient, state: str) -> None:
    job = ask(old, patient)
    move_bundle(bundle=old, to_state=state, why="an alarm was missed", by=SYSTEM)
    ended = run(job)
    assert (ended.state, ended.failure) == ("done", "") and waiting() == []
    desk = client_of(make_user("administrator", patient.site))
    row = text_of(desk.get("/jobs/"))
    assert "no other is live for this question" in row and "Try again" not in row
    assert "Failed and set aside" in text_of(desk.get("/operations/")) and ended.title not in text_of(desk.get("/operations/"))


def test_the_page_of_whoever_waits_goes_on_to_the_risk_of_the_new_model(old: ModelBundle, patient: Patient) -> None:
    nurse = make_user("clinician", patient.site)
    relate(nurse, patient)
    job, _ = ask(old, patient, by=actor_of(nurse)), replaced(old)
    run(job)
    page = f"/patients/{patient.pk}/waiting/{job.pk}/"
    assert "Waiting" in text_of(client_of(nurse).get(f"{page}?fragment")), "as the one that follows it does"
    run(waiting()[0])
    answer = client_of(nurse).get(f"{page}?fragment")
    assert answer.headers["HX-Redirect"] == f"/predictions/{risk_of(patient).prediction_id}/"


def test_the_page_of_whoever_waits_says_that_no_model_is_left(old: ModelBundle, patient: Patient) -> None:
    nurse = make_user("clinician", patient.site)
    relate(nurse, patient)
    job = ask(old, patient, by=actor_of(nurse))
    move_bundle(bundle=old, to_state=BundleState.WITHDRAWN, why="wrong", by=SYSTEM)
    run(job)
    said_there = text_of(client_of(nurse).get(f"/patients/{patient.pk}/waiting/{job.pk}/"))
    assert "No risk came of it" in said_there and "no other is live for this question" in said_there
