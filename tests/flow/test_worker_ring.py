"""What a worker does with a job: does it once, says in words why it failed, and gives way to another after its death."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from salus_learn.errors import CaseError
from salus_web.common.clock import now
from salus_web.common.errors import StateConflict
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import receive
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import Claim, claim, enqueue
from salus_web.records.models import Patient
from salus_web.registry.models import ModelBundle
from salus_workers.pipelines.registry import PIPELINES
from salus_workers.tasks.run_job import run_claimed

from tests.factories.cases import TASK
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, client_of, make_site, make_user, relate
from tests.factories.simulated import run
from tests.web.test_current_risks import outcome, store
from tests.web.test_ingest_door import archive
from tests.web.test_ingest_parsers import bundle
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


def job_that(monkeypatch: pytest.MonkeyPatch, pipeline: Callable[[Claim, Callable[[float, str], None]], None]) -> Job:
    monkeypatch.setitem(PIPELINES, "trial", pipeline)
    return enqueue(kind="trial", unique_key="trial", payload={}, by=SYSTEM)


def test_an_unknown_kind_fails_in_words() -> None:
    job = run(enqueue(kind="nonsense", unique_key="n", payload={}, by=SYSTEM))
    assert job.state == JobState.FAILED and "does not know" in job.failure


def test_a_refusal_is_shown_as_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(held: Claim, report: Callable[[float, str], None]) -> None:
        raise CaseError("clinical.csv row 7: Age “old” is not a number.")

    job = run(job_that(monkeypatch, refuse))
    assert job.state == JobState.FAILED and job.failure == "clinical.csv row 7: Age “old” is not a number."


def test_an_unforeseen_error_shows_neither_values_nor_a_traceback(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def break_down(held: Claim, report: Callable[[float, str], None]) -> None:
        raise RuntimeError("SECRET-NAME of the patient")

    job = run(job_that(monkeypatch, break_down))
    assert job.state == JobState.FAILED and "RuntimeError" in job.failure
    assert "SECRET" not in job.failure and "SECRET" not in caplog.text


def test_a_worker_that_lost_its_lease_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(held: Claim, report: Callable[[float, str], None]) -> None:
        Job.objects.filter(pk=held.job_id).update(lease_until=now() - timedelta(seconds=1))
        assert claim(job_id=held.job_id, worker="other") is not None  # another took over in the meantime
        report(0.5, "half")

    job = run(job_that(monkeypatch, slow))
    assert job.state == JobState.RUNNING and job.worker == "other" and job.failure == ""


def test_reading_an_upload_twice_changes_nothing() -> None:
    upload = receive(filename="one.json", content=json.dumps(bundle()).encode(), site=make_site(), by=SYSTEM)
    assert upload.job is not None
    held = claim(job_id=str(upload.job.pk), worker="first")
    assert held is not None
    run_claimed(held)
    Job.objects.filter(pk=upload.job.pk).update(state=JobState.RUNNING, lease_until=now() - timedelta(seconds=1))
    again = run(upload.job)  # the first worker died after storing, before it could say so
    assert again.state == JobState.DONE
    assert Patient.objects.for_actor(SYSTEM).count() == 1


def test_a_case_table_with_a_fault_is_refused_by_name_and_stores_nobody() -> None:
    table = "person,case,age,sex,signs,film,box,ill,answer_sheet\np1,1,old,f,none,,,yes,1\n"
    content = archive(("task.toml", TASK.encode()), ("cases.csv", table.encode()))
    upload = receive(filename="cases.zip", content=content, site=make_site(), by=SYSTEM)
    assert upload.job is not None and run(upload.job).state == JobState.FAILED
    kept = Upload.objects.get(pk=upload.pk)
    assert kept.state == UploadState.REFUSED
    assert "row" in kept.problems[0] and "age" in kept.problems[0].lower()
    assert Patient.objects.for_actor(SYSTEM).count() == 0


def test_what_does_not_allow_a_job_is_said_at_once_and_not_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job whose model was withdrawn, or whose people took training back, is over: it is not left running for its lease."""

    def refuse(held: Claim, report: Callable[[float, str], None]) -> None:
        raise StateConflict("This model was withdrawn, so it gives no more risks.")

    job = run(job_that(monkeypatch, refuse))
    assert (job.state, job.failure) == (JobState.FAILED, "This model was withdrawn, so it gives no more risks.")
    assert job.lease_until is None and job.attempts == 1


def test_a_risk_by_a_withdrawn_model_ends_in_words() -> None:
    withdrawn = make_bundle("withdrawn")
    job = run(enqueue(kind="predict", unique_key="p", payload={"bundle_id": str(withdrawn.pk), "patient_ids": []}, by=SYSTEM))
    assert (job.state, job.failure, job.result["predictions"]) == (JobState.DONE, "", 0)
    assert "the model went off duty" in job.result["why"] and "no other is live" in job.result["why"]


def test_a_file_with_new_values_takes_the_old_number_of_its_patient_off_the_list() -> None:
    """Through the door, in the transaction that stores the file; another patient's number stays."""
    site, live = make_site(), make_bundle()
    ModelBundle.objects.update(requests_on_new_data=True)
    nurse, other = make_user("clinician", site), make_person(site, "Qother", live, probability=0.62)
    upload = receive(filename="one.json", content=json.dumps(bundle()).encode(), site=site, by=SYSTEM)
    assert upload.job is not None and run(upload.job).state == JobState.DONE
    patient = Patient.objects.for_actor(SYSTEM).exclude(pk=other.patient.pk).get()
    for one in (patient, other.patient):
        relate(nurse, one)
    store(live, outcome(patient, 0.37))
    Job.objects.filter(kind="predict").update(state=JobState.DONE)
    assert "37 %" in text_of(client_of(nurse).get("/worklist/"))
    later = bundle(id="o2", effectiveDateTime="2026-01-02T05:04:05+01:00")
    upload = receive(filename="two.json", content=json.dumps(later).encode(), site=site, by=SYSTEM)
    assert upload.job is not None and run(upload.job).state == JobState.DONE
    page = text_of(client_of(nurse).get("/worklist/"))
    assert "37 %" not in page and "data changed" in page and "62 %" in page
    assert Job.objects.get(kind="predict", state=JobState.QUEUED).payload["patient_ids"] == [str(patient.pk)]
