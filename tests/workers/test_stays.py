"""A stay as the models and the known scores read it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from salus_learn.known_scores.forms import ScoreResult
from salus_learn.known_scores.scores import score_patient
from salus_learn.tasks.loader import task_from_text
from salus_web.common.clock import now
from salus_web.records.models import Condition, Encounter, Patient
from salus_workers.adapters.stays import stay_cases

from tests.factories.people import SYSTEM, make_patient, make_site
from tests.factories.simulated import ONCE

pytestmark = pytest.mark.django_db
SNOMED = "http://snomed.info/sct"
ICD10 = "http://hl7.org/fhir/sid/icd-10"


def test_charlson_reads_every_diagnosis_known_by_the_index_moment_and_none_after() -> None:
    patient, start = make_patient(make_site()), now() - timedelta(days=90)
    Encounter.objects.create(
        patient=patient,
        kind="inpatient",
        ward="A",
        starts_at=start,
        ends_at=start + timedelta(days=3),
        source="stay",
        source_key="s",
    )
    _diagnose(patient, "I21.4", start - timedelta(days=900))  # an old infarction: 1
    _diagnose(patient, "E11.9", start - timedelta(days=900))  # diabetes without complication: 1
    _diagnose(
        patient, "C78.0", start + timedelta(days=2)
    )  # metastases found after the index moment: nothing yet
    found = _charlson()
    assert found.state == "computed" and found.points == 2
    _diagnose(patient, "J44.9", start - timedelta(days=90))
    assert _charlson().points == 3
    _diagnose(patient, "I10", start - timedelta(days=90), source="FHIR Condition/pressure")
    _diagnose(patient, "59621000", start - timedelta(days=90), SNOMED, source="FHIR Condition/pressure")
    assert _charlson().points == 3, "a diagnosis in both vocabularies is read by its code of ICD-10"
    _diagnose(patient, "38341003", start - timedelta(days=90), SNOMED)
    refused = _charlson()
    assert refused.points is None and refused.missing[0].startswith("1 of the diagnoses in SNOMED CT alone")


def test_no_model_speaks_of_a_stay_that_was_taken_back() -> None:
    start = now() - timedelta(days=90)
    Encounter.objects.create(
        patient=make_patient(make_site()), kind="inpatient", ward="A", starts_at=start, ends_at=start + timedelta(days=3), source="stay",
        source_key="s", is_taken_back=True,
    )  # fmt: skip
    assert stay_cases(task_from_text(ONCE), SYSTEM, purpose="training") == []


def _charlson() -> ScoreResult:
    (case,) = stay_cases(task_from_text(ONCE), SYSTEM, purpose="training")
    scores = score_patient(case.snapshot, all_diagnoses=case.all_diagnoses)
    return next(score for score in scores if score.name == "charlson")


def _diagnose(patient: Patient, code: str, when: datetime, system: str = ICD10, source: str = "") -> None:
    Condition.objects.create(
        patient=patient,
        system=system,
        code=code,
        display=code,
        recorded_at=when,
        source=source or f"FHIR Condition/{code}",
        source_key=f"c-{code}",
    )
