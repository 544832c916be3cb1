"""What everybody may read of a job, at every hospital and in every role, says what is done and not of how many people."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from salus_web.accounts.models import Site, User
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import claim
from salus_web.predictions.services import request
from salus_web.stewardship.carrying_out import carry_out
from salus_web.stewardship.models import Decision, RetentionItem, RetentionRun
from salus_workers.pipelines import predict, replay_prediction

from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, client_of, make_patient, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
ELSEWHERE = ["researcher", "clinician", "administrator"]


def words_of(run: Any) -> list[str]:
    """Everything that it reports while it runs."""
    said: list[str] = []
    run(lambda share, words: said.append(words))
    assert said
    return said


@pytest.mark.parametrize("role", ELSEWHERE)
def test_nobody_elsewhere_learns_for_how_many_people_a_risk_was_asked(site: Site, clinician: User, role: str) -> None:
    bundle, people = make_bundle(), [make_patient(site) for _ in range(7)]
    for patient in people:
        relate(clinician, patient)
    page = client_of(make_user(role, make_site()))
    before = text_of(page.get("/jobs/"))
    request(patient_ids=[str(patient.pk) for patient in people], bundle=bundle, why="asked", by=actor_of(clinician))
    after = text_of(page.get("/jobs/"))
    assert f"Computing risks: {bundle.task.title}" in after and "Computing risks" not in before
    assert "patient(s)" not in after and " 7 " not in after
    assert Job.objects.get(kind="predict", state=JobState.QUEUED).title == f"Computing risks: {bundle.task.title}"


def test_no_report_of_a_running_job_counts_people(site: Site, clinician: User, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, people = make_bundle(), [make_patient(site) for _ in range(3)]
    ids = [str(patient.pk) for patient in people]
    job = request(patient_ids=ids, bundle=bundle, why="asked", by=SYSTEM)
    held = claim(job_id=str(job.pk), worker="test")
    monkeypatch.setattr(predict, "_readable", lambda *_: [])
    monkeypatch.setattr(predict, "_outcomes", lambda *_: [])
    monkeypatch.setattr(predict, "loaded", lambda row: SimpleNamespace(model=SimpleNamespace(task=None)))
    said = words_of(lambda report: predict.run(held, report))
    run = RetentionRun.objects.create(site=site, rules={}, asked_by="x", asked_by_name="X", asked_at=people[0].created_at, state=Decision.AGREED)
    RetentionItem.objects.bulk_create([RetentionItem(run=run, patient=one, kind="record", last_at=one.created_at) for one in people])
    said += words_of(lambda report: carry_out(run_id=run.pk, report=report, by=SYSTEM))
    assert not any(letter.isdigit() for words in said for letter in words), said


def test_several_replays_do_not_say_how_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [make_person(site, token, make_bundle()).prediction for token in ("QA", "QB")]
    monkeypatch.setattr(replay_prediction, "replay_stored", lambda key: [])
    monkeypatch.setattr(replay_prediction, "finish", lambda **_: None)
    held: Any = SimpleNamespace(payload={"prediction_ids": [str(row.pk) for row in rows]})
    assert set(words_of(lambda report: replay_prediction.run(held, report))) == {"recomputing from the receipt"}


def test_jobs_from_before_say_it_no_longer(site: Site) -> None:
    make_person(site, "QOLD", make_bundle())
    Job.objects.update(kind="predict", title="Deterioration: 1 patient(s)", message="1 of 1 patients")
    importlib.import_module("salus_web.jobs.migrations.0004_titles_without_counts").without_counts(apps, None)
    assert set(Job.objects.values_list("title", "message")) == {("Computing risks", "")}
