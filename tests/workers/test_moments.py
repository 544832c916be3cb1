"""A risk that is asked again as a stay goes on: at each of its moments, of those who are still at risk, with its change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from salus_learn.contracts import PatientSnapshot, RiskTask
from salus_learn.features.readings import read_features
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.moments import hours_of
from salus_web.accounts.models import Site
from salus_web.common.clock import now
from salus_web.jobs import leases
from salus_web.jobs.models import Job
from salus_web.predictions.models import DueMoment, Prediction
from salus_web.predictions.selectors import standing_of
from salus_web.predictions.services import data_changed
from salus_web.records.models import Condition, Encounter, Patient
from salus_web.registry.models import ModelBundle, TaskFile
from salus_workers.adapters.snapshots import as_training
from salus_workers.adapters.stays import stay_cases
from salus_workers.pipelines import predict
from salus_workers.tasks import ask_due
from salus_workers.tasks.ask_due import ask_for_due_stays

from tests.factories.people import SYSTEM, client_of, make_patient, make_user, relate
from tests.factories.simulated import TASK
from tests.workers.test_predict import DAY, asked, bundle, risk_of, said, site, stay  # noqa: F401 - two are fixtures

pytestmark = pytest.mark.django_db
OUTCOME = "65710008"


@pytest.fixture
def again(bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> ModelBundle:  # noqa: F811
    """A live model that is asked every day, and says more the longer a stay has lasted: 24 % after 24 h, 48 % after 48 h."""
    predict.loaded(bundle).model.task = load_task(TASK)
    TaskFile.objects.filter(pk=bundle.task_id).update(text=TASK.read_text())

    def score(_: Any, snapshots: list[PatientSnapshot]) -> list[Any]:
        return [said(bundle, one, probability=float(hours_of(one) or 0) / 100) for one in snapshots]

    monkeypatch.setattr(predict, "score", score)
    return bundle


def hours_after(row: Encounter, found: datetime) -> float:
    return (found - row.starts_at) / timedelta(hours=1)


def given(row: Encounter) -> list[tuple[float, str]]:
    """What was said of a stay: hours after its beginning and the state, in the order in which it was stored."""
    rows = Prediction.objects.for_actor(SYSTEM).filter(encounter=row).order_by("created_at", "index_at")
    return [(hours_after(row, one.index_at), one.state) for one in rows]


def failed_breathing(patient: Patient, at: datetime) -> None:
    Condition.objects.create(patient=patient, system="http://snomed.info/sct", code=OUTCOME, display="Failure", recorded_at=at, source="t", source_key=f"{at}")


def test_a_stay_is_judged_at_each_moment_so_far_and_the_last_is_the_risk_now_with_its_change(site: Site, again: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    row = stay(patient, timedelta(hours=80))
    asked(again, patient)
    assert given(row) == [(24.0, "computed"), (48.0, "computed"), (72.0, "computed")]
    risk = risk_of(patient)
    assert risk.sort_probability == 0.72 and risk.change == pytest.approx(0.24)
    earlier = Prediction.objects.for_actor(SYSTEM).order_by("index_at").first()
    assert earlier is not None and standing_of(viewer=SYSTEM, prediction=earlier).is_superseded
    assert not standing_of(viewer=SYSTEM, prediction=risk.prediction).is_superseded


def test_new_data_asks_the_last_moment_again_and_leaves_what_was_said_before(site: Site, again: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    row = stay(patient, timedelta(hours=50))
    asked(again, patient)
    data_changed(patient_ids=[str(patient.pk)], by=SYSTEM, ask=False)
    asked(again, patient)
    assert given(row) == [(24.0, "computed"), (48.0, "computed"), (48.0, "computed")]
    first = Prediction.objects.for_actor(SYSTEM).get(patient=patient, previous=None)
    now_given = risk_of(patient)  # compared with the moment before, and not with the same moment asked before
    assert now_given.state == "computed" and now_given.change == pytest.approx(now_given.prediction.probability - first.probability)


def test_each_moment_that_comes_asks_by_itself(site: Site, again: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(ask_due, "close_old_connections", lambda: None)  # the test's own transaction lives on one
    ModelBundle.objects.filter(pk=again.pk).update(requests_on_new_data=True)
    patient = make_patient(site)
    stay(patient, timedelta(hours=49))
    asked(again, patient)
    for ahead, jobs in ((10, 1), (24, 2), (25, 2)):  # 59, 73 and 74 hours into the stay
        with monkeypatch.context() as clock:
            clock.setattr(leases, "moment", lambda ahead=ahead: now() + timedelta(hours=ahead))
            ask_for_due_stays()
        given_so_far = Prediction.objects.for_actor(SYSTEM).count()
        assert (given_so_far, Job.objects.filter(kind="predict").count()) == (2, jobs)
    assert sorted(DueMoment.objects.values_list("hours", flat=True)) == [24.0, 48.0, 72.0, 96.0]


def test_whoever_has_come_to_the_outcome_is_not_asked_any_more_and_teaches_only_what_came_before(site: Site, again: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    row = stay(patient, 10 * DAY, 6 * DAY)
    failed_breathing(patient, row.starts_at + timedelta(hours=60))
    asked(again, patient)
    assert given(row) == [(24.0, "computed"), (48.0, "computed"), (72.0, "failed"), (96.0, "failed")]
    why = risk_of(patient).prediction.why
    assert why.startswith("Acute respiratory failure was recorded on ") and "have not had it" in why
    assert risk_of(patient).sort_probability is None
    cases = stay_cases(load_task(TASK), SYSTEM, purpose="training")
    assert len({case.snapshot.key for case in cases}) == 4
    assert [(hours_of(case.snapshot), case.outcome) for case in as_training(cases)] == [(24.0, 1), (48.0, 1)]


def test_an_earlier_stay_s_outcome_silences_nobody(site: Site, again: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    row = stay(patient, timedelta(hours=30))
    failed_breathing(patient, row.starts_at - 90 * DAY)
    asked(again, patient)
    assert given(row) == [(24.0, "computed")]


def test_somebody_who_died_is_not_asked_about(site: Site, again: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    row = stay(patient, timedelta(hours=80))
    Patient.objects.for_actor(SYSTEM).filter(pk=patient.pk).update(died_at=row.starts_at + timedelta(hours=30))
    asked(again, patient)
    assert risk_of(patient).state == "failed" and risk_of(patient).prediction.why.startswith("The patient died on ")
    cases = stay_cases(load_task(TASK), SYSTEM, purpose="training")
    assert [hours_of(case.snapshot) for case in cases] == [24.0]


def test_a_visit_that_nobody_ended_is_no_stay(site: Site, again: ModelBundle) -> None:  # noqa: F811
    patient = make_patient(site)
    row = stay(patient, timedelta(hours=80))
    stay(patient, timedelta(hours=60), None, "AMB")
    asked(again, patient)
    assert risk_of(patient).prediction.encounter_id == row.pk
    assert {case.encounter_id for case in stay_cases(load_task(TASK), SYSTEM, purpose="training")} == {str(row.pk)}


def test_the_time_since_admission_is_an_input_like_any_other(site: Site, again: ModelBundle) -> None:  # noqa: F811
    stay(make_patient(site), 9 * DAY, 3 * DAY)
    task: RiskTask = load_task(TASK)
    at = [spec.name for spec in task.features].index("hours_since_admission")
    cases = stay_cases(task, SYSTEM, purpose="training")
    assert [read_features(task, case.snapshot)[at].value for case in cases] == [24.0, 48.0, 72.0]


def test_the_list_goes_by_change_and_shows_the_way_there(site: Site, again: ModelBundle) -> None:  # noqa: F811
    doctor, patient = make_user("clinician", site), make_patient(site)
    relate(doctor, patient)
    stay(patient, timedelta(hours=80))
    asked(again, patient)
    page = client_of(doctor).get("/worklist/?order=change").content.decode()
    assert "risk so far: 24 %, 48 %, 72 %" in page and "+24" in page
