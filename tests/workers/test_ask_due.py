"""The beat of index moments, through a worker: a stay that was too young gets its risk without new data, of live models of stays only."""

from __future__ import annotations

from datetime import timedelta

import pytest
from salus_web.accounts.models import Site
from salus_web.common.clock import now
from salus_web.jobs import leases
from salus_web.jobs.celery import ASK_DUE, configure
from salus_web.jobs.models import Job, JobState
from salus_web.predictions.models import DueMoment
from salus_web.registry.models import BundleState, ModelBundle, TaskFile
from salus_web.registry.services import move_bundle
from salus_workers.adapters import stays
from salus_workers.app import app
from salus_workers.tasks import ask_due
from salus_workers.tasks.ask_due import ask_for_due_stays

from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, make_patient
from tests.factories.simulated import ONCE, run
from tests.workers.test_predict import DAY, asked, at_index, bundle, risk_of, site, stay  # noqa: F401 - two are fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def live(bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> ModelBundle:  # noqa: F811
    """A live model of stays, from 24 hours after they began, that the machine asks as well."""
    monkeypatch.setattr(ask_due, "close_old_connections", lambda: None)  # the test's own transaction lives on one
    TaskFile.objects.filter(pk=bundle.task_id).update(text=ONCE)
    ModelBundle.objects.filter(pk=bundle.pk).update(requests_on_new_data=True)
    bundle.refresh_from_db()
    return bundle


def test_a_stay_that_was_too_young_gets_its_risk_when_the_moment_has_come(
    site: Site, live: ModelBundle, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    patient = make_patient(site)
    young = stay(patient, timedelta(hours=25))
    with monkeypatch.context() as yesterday:
        yesterday.setattr(stays, "now", lambda: now() - timedelta(hours=22))
        yesterday.setattr(leases, "moment", lambda: now() - timedelta(hours=22))
        asked(live, patient)
        ask_for_due_stays()
    assert risk_of(patient).state == "failed" and risk_of(patient).prediction.why.endswith("It is asked again by itself then.")
    assert not Job.objects.filter(state=JobState.QUEUED).exists()
    ask_for_due_stays()
    assert run(Job.objects.get(state=JobState.QUEUED)).state == "done"
    assert risk_of(patient).state == "computed" and at_index(risk_of(patient), young)
    ask_for_due_stays()
    assert not Job.objects.filter(state=JobState.QUEUED).exists()


def test_a_model_that_only_people_ask_does_not_promise_to_be_asked(site: Site, bundle: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    stay(patient, timedelta(hours=3))
    asked(bundle, patient)
    assert risk_of(patient).prediction.why.endswith("Please ask again then.")


def test_only_live_models_of_stays_wait_for_one_and_a_task_file_that_is_not_understood_stops_no_other(
    site: Site, live: ModelBundle, caplog: pytest.LogCaptureFixture  # noqa: F811
) -> None:
    for name, text in (("table", ONCE.replace('"encounter-start + 24 h"', '"case"')), ("broken", "[task"), ("gone", ONCE)):
        other = make_bundle(BundleState.CANDIDATE)
        other.task = TaskFile.objects.create(task_id=name, title=f"A {name}", digest=name, text=text, loaded_by="x", loaded_at=now())
        other.requests_on_new_data = True
        other.save()
        move_bundle(bundle=other, to_state=BundleState.LIVE, why="good", by=SYSTEM)
        if name == "gone":
            move_bundle(bundle=other, to_state=BundleState.RETIRED, why="old", by=SYSTEM)
    ask_for_due_stays()
    assert list(DueMoment.objects.values_list("task_id", flat=True)) == [live.task.task_id]
    DueMoment.objects.update(begun_to=now() - 3 * DAY)
    patient = make_patient(site)
    stay(patient, 2 * DAY)
    ask_for_due_stays()
    assert Job.objects.get(kind="predict").payload["patient_ids"] == [str(patient.pk)]
    assert "cannot be read" in caplog.text and "[task" not in caplog.text


def test_the_beat_asks_every_minute() -> None:
    (found,) = [entry for entry in configure().conf.beat_schedule.values() if entry["task"] == ASK_DUE]
    assert found["schedule"] == 60.0 and found["options"] == {"queue": "cpu"} and ASK_DUE in app.tasks
