"""What a job of risks makes of people: the newest stay counts, one that the model cannot speak of yet says so, one person's
erasure fails nobody else's risk, and a replay sees a hand in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from salus_learn.contracts import PatientSnapshot, RiskResult, RiskState
from salus_learn.tasks.loader import task_from_text
from salus_web.accounts.models import Site
from salus_web.common import keyring, vault
from salus_web.common.clock import now
from salus_web.jobs.models import Job
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.predictions.services import data_changed, request
from salus_web.records.models import Encounter, Patient
from salus_web.registry.models import BundlePerson, ModelBundle
from salus_workers.pipelines import predict, replay_prediction
from salus_workers.pipelines.replay_prediction import replay_stored

from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, make_patient, make_site
from tests.factories.simulated import ONCE, run
from tests.web.conftest import own_places  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db
SEEN = predict.SEEN


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> ModelBundle:
    """A live model that says 31 % of everybody; what it is given is real."""
    row = make_bundle()
    made = SimpleNamespace(model=SimpleNamespace(task=task_from_text(ONCE)), digest=row.digest)
    monkeypatch.setattr(predict, "loaded", lambda _: made)
    monkeypatch.setattr(predict, "score", lambda _, snapshots: [said(row, one) for one in snapshots])
    monkeypatch.setattr(replay_prediction, "loaded", lambda _: made)
    monkeypatch.setattr(replay_prediction, "replay", lambda *_: [])
    return row


def said(row: ModelBundle, snapshot: PatientSnapshot, **changes: Any) -> RiskResult:
    values: dict[str, Any] = {
        "key": snapshot.key, "state": RiskState.COMPUTED, "why": "", "probability": 0.31, "interval": (0.2, 0.4), "interval_level": 0.9,
        "prediction_set": ("worse",), "reference_probability": 0.2, "margin": 0.1, "reference_margin": 0.0, "pattern": "record",
        "arm_margins": {}, "reasons": (), "maps": (), "missing": (), "threshold": 0.3, "above_threshold": True,
        "bundle_digest": row.digest, "task_digest": "t",
    }  # fmt: skip
    return RiskResult(**values | changes)


def stay(patient: Patient, began: timedelta, lasted: timedelta | None = None, kind: str = "IMP") -> Encounter:
    start = now() - began
    return Encounter.objects.create(
        patient=patient, kind=kind, ward="A", starts_at=start, ends_at=start + lasted if lasted else None, source="t", source_key=f"{kind}{start}"
    )


def asked(bundle: ModelBundle, *patients: Patient) -> Job:
    job = run(request(patient_ids=[str(one.pk) for one in patients], bundle=bundle, why="test", by=SYSTEM))
    assert job.state == "done", job.failure
    return job


def risk_of(patient: Patient) -> CurrentRisk:
    return CurrentRisk.objects.for_actor(SYSTEM).select_related("prediction").get(patient=patient)


def at_index(risk: CurrentRisk, row: Encounter) -> bool:
    found: datetime = risk.prediction.index_at
    return found == row.starts_at + timedelta(hours=24) and risk.prediction.encounter_id == row.pk


DAY = timedelta(days=1)


def test_of_two_stays_the_newest_is_judged(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    newest = stay(patient, 3 * DAY)
    stay(patient, 700 * DAY, 5 * DAY)
    asked(bundle, patient)
    assert risk_of(patient).state == "computed" and at_index(risk_of(patient), newest)
    assert Prediction.objects.for_actor(SYSTEM).count() == 1


def test_a_stay_too_young_for_the_model_says_so_and_no_older_number_stands_for_it(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    stay(patient, 700 * DAY, 5 * DAY)
    asked(bundle, patient)
    assert risk_of(patient).sort_probability == 0.31
    young = stay(patient, timedelta(hours=3))
    data_changed(patient_ids=[str(patient.pk)], by=SYSTEM)
    asked(bundle, patient)
    risk = risk_of(patient)
    assert (risk.state, risk.sort_probability, risk.prediction.probability, risk.prediction.encounter_id) == ("failed", None, None, young.pk)
    assert risk.prediction.why.startswith("The newest stay began on ") and f"{young.starts_at + DAY:%d %b %Y %H:%M} UTC" in risk.prediction.why
    assert replay_stored(str(risk.prediction_id)) == []


def test_a_stay_that_has_come_to_its_moment_is_judged_again(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    young = stay(patient, timedelta(hours=3))
    asked(bundle, patient)
    Encounter.objects.for_actor(SYSTEM).filter(pk=young.pk).update(starts_at=now() - timedelta(hours=25))
    asked(bundle, patient)
    assert risk_of(patient).state == "computed"


def test_when_a_short_newest_stay_is_over_no_older_number_comes_back(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    old, short = stay(patient, 180 * DAY, 5 * DAY), stay(patient, timedelta(hours=10))
    asked(bundle, patient)
    Encounter.objects.for_actor(SYSTEM).filter(pk=short.pk).update(ends_at=short.starts_at + timedelta(hours=9))
    data_changed(patient_ids=[str(patient.pk)], by=SYSTEM)
    asked(bundle, patient)
    risk = risk_of(patient)
    assert (risk.state, risk.sort_probability, risk.prediction.encounter_id) == ("failed", None, short.pk)
    ended = f"{short.starts_at + timedelta(hours=9):%d %b %Y %H:%M} UTC"
    assert risk.prediction.why.startswith("The newest stay began on ") and f"lasted until {ended}" in risk.prediction.why
    assert not Prediction.objects.for_actor(SYSTEM).filter(encounter=old).exists()


def test_a_sentence_longer_than_its_column_fails_nobody(site: Site, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses what SQLite would take, and with it the risks of everybody in the job."""
    long = "Missing: " + "a very long name of an input, " * 40
    patients = [make_patient(site), make_patient(site)]
    for one in patients:
        stay(one, timedelta(days=3))
    monkeypatch.setattr(predict, "score", lambda _, snapshots: [said(bundle, one, why=long if at else "") for at, one in enumerate(snapshots)])
    asked(bundle, *patients)
    kept = sorted((risk_of(one).prediction.why for one in patients), key=len)
    assert kept[0] == "" and kept[1].startswith("Missing: a very long name") and kept[1].endswith("…") and 390 < len(kept[1]) <= 400


@pytest.mark.parametrize(("began", "lasted", "kind"), [
    (timedelta(hours=3), timedelta(hours=1), "EMER"), (timedelta(hours=3), None, "AMB"), (-2 * DAY, None, "IMP"),
])  # fmt: skip
def test_a_visit_or_a_planned_stay_does_not_hide_the_present_one(
    site: Site, bundle: ModelBundle, began: timedelta, lasted: timedelta | None, kind: str
) -> None:
    patient = make_patient(site)
    present = stay(patient, 4 * DAY)
    stay(patient, began, lasted, kind)
    asked(bundle, patient)
    assert risk_of(patient).state == "computed" and at_index(risk_of(patient), present)


def test_whoever_the_model_was_trained_on_is_marked_whichever_stay_it_is(site: Site, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = make_patient(site), make_patient(site)
    BundlePerson.objects.create(bundle=bundle, patient=known)
    for patient in (known, other):
        stay(patient, 3 * DAY)  # known was trained on an older one
    asked(bundle, known, other)
    assert (risk_of(known).prediction.why, risk_of(other).prediction.why) == (SEEN, "")
    doubt = {"state": RiskState.ABSTAINED, "why": "Neither answer can be excluded at 90 %."}
    monkeypatch.setattr(predict, "score", lambda _, snapshots: [said(bundle, one, **doubt) for one in snapshots])
    asked(bundle, known, other)
    assert risk_of(known).prediction.why == f"{doubt['why']} {SEEN}" and risk_of(other).prediction.why == doubt["why"]


def test_one_person_erased_while_others_are_read_fails_nobody_elses_risk(
    site: Site, bundle: ModelBundle, monkeypatch: pytest.MonkeyPatch, own_places: None  # noqa: F811
) -> None:
    going, staying = make_patient(site), make_patient(site)
    for patient in (going, staying):
        stay(patient, 3 * DAY)
    sealed = vault.put(b"pixels", owner=f"person:{going.pk}")
    keyring.destroy(f"person:{going.pk}")
    read = predict.current_cases

    def current(task: Any, by: Any, part: Sequence[str], **answered: Any) -> Any:
        if str(going.pk) in part:
            vault.get(sealed.key, sha256=sealed.sha256)  # a film, whose key is gone while its rows are still here
        return read(task, by, part, **answered)

    monkeypatch.setattr(predict, "current_cases", current)
    asked(bundle, going, staying)
    assert risk_of(staying).state == "computed" and not CurrentRisk.objects.for_actor(SYSTEM).filter(patient=going).exists()


@pytest.mark.parametrize(("column", "value", "words"), [
    ("low", 0.01, "stored low is 0.01, and the receipt says 0.2"), ("high", 0.99, "stored high"), ("threshold", 0.6, "stored threshold"),
    ("probability", 0.05, "stored probability is 0.05, and the receipt says 0.31"), ("state", "abstained", "stored state"),
    ("why", "all is well", "stored why"), ("index_at", datetime.fromisoformat("2020-01-01T00:00:00Z"), "stored index at"),
    ("prediction_set", ["not worse"], "stored prediction set"),
])  # fmt: skip
def test_a_replay_sees_what_was_changed_in_the_row(site: Site, bundle: ModelBundle, column: str, value: Any, words: str) -> None:
    patient = make_patient(site)
    stay(patient, 3 * DAY)
    asked(bundle, patient)
    key = str(risk_of(patient).prediction_id)
    assert replay_stored(key) == []
    Prediction.objects.for_actor(SYSTEM).filter(pk=key).update(**{column: value})
    (difference,) = replay_stored(key)
    assert words in difference


def test_a_replay_sees_other_reasons_and_another_model(site: Site, bundle: ModelBundle) -> None:
    patient = make_patient(site)
    stay(patient, 3 * DAY)
    asked(bundle, patient)
    row = risk_of(patient).prediction
    row.account_json = '{"reasons": []}'
    row.bundle = make_bundle("candidate")
    row.save()
    assert replay_stored(str(row.pk)) == [
        "The risk is stored under another model than the one its receipt names.", "The stored reasons are not those of the receipt."
    ]
