"""A thing that is coded in several vocabularies: each code finds it, and it is shown and counted once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from salus_web.ingest.parsers.fhir_values import value_of
from salus_web.records.models import Condition, Medication, Patient
from salus_web.records.selectors import record_rows

from tests.factories.people import SYSTEM
from tests.web.test_ingest_corrections import Door, entry

pytestmark = pytest.mark.django_db
ICD_10 = "http://hl7.org/fhir/sid/icd-10"
TWICE = {"coding": [
    {"system": "http://snomed.info/sct", "code": "44054006", "display": "Type 2 diabetes"}, {"system": ICD_10, "code": "E11.9"},
    {"system": ICD_10, "code": "E11.9"}, {"code": "of no vocabulary"}, {"system": "urn:oid:2.16.840.1.113883.6.90", "code": "E11.65"},
]}  # fmt: skip
DRUG = {"coding": [{"system": "urn:local", "code": "A-17", "display": "Amoxicillin"}, {"system": "http://www.whocc.no/atc", "code": "J01CA04"}]}
DIABETES = entry("Condition", code=TWICE, recordedDate="2026-01-01")
AMOXICILLIN = entry("MedicationRequest", status="active", medicationCodeableConcept=DRUG, authoredOn="2026-01-01")


@pytest.fixture
def door() -> Door:
    return Door()


def found_by(table: type[Condition] | type[Medication], code: str) -> int:
    return table.objects.for_actor(SYSTEM).filter(code=code).count()


def test_a_diagnosis_is_found_by_each_of_its_codes_and_shown_and_counted_once(door: Door) -> None:
    assert door.bring(DIABETES)["conditions"] == 1
    assert [found_by(Condition, code) for code in ("44054006", "E11.9", "E11.65", "of no vocabulary")] == [1, 1, 1, 0]
    rows = record_rows(viewer=SYSTEM, patient=Patient.objects.for_actor(SYSTEM).get(), since=datetime(2020, 1, 1, tzinfo=UTC))
    assert [(row.code, row.display) for row in rows.conditions] == [("44054006", "Type 2 diabetes")]


def test_a_drug_is_found_by_each_of_its_codes_and_shown_once(door: Door) -> None:
    assert door.bring(AMOXICILLIN)["medications"] == 1
    assert found_by(Medication, "A-17") == found_by(Medication, "J01CA04") == 1
    rows = record_rows(viewer=SYSTEM, patient=Patient.objects.for_actor(SYSTEM).get(), since=datetime(2020, 1, 1, tzinfo=UTC))
    assert [row.display for row in rows.medications] == ["Amoxicillin"]


def test_it_ends_and_is_taken_back_as_one_thing(door: Door) -> None:
    door.bring(DIABETES, AMOXICILLIN)
    over = entry("Condition", code=TWICE, recordedDate="2026-01-01", abatementDateTime="2026-03-01")
    stopped = AMOXICILLIN | {"resource": AMOXICILLIN["resource"] | {"status": "stopped"}}
    assert door.bring(over, stopped)["ended"] == 2
    assert not Condition.objects.for_actor(SYSTEM).filter(abated_at=None).exists()
    assert not Medication.objects.for_actor(SYSTEM).filter(ends_at=None).exists()
    refuted = entry("Condition", code=TWICE, verificationStatus={"coding": [{"code": "refuted"}]})
    assert door.bring(refuted)["taken back"] == 1 and not Condition.objects.for_actor(SYSTEM).exists()


def test_a_file_that_was_read_before_codes_were_kept_adds_what_was_missing(door: Door) -> None:
    door.bring(DIABETES)
    Condition.objects.for_actor(SYSTEM).filter(is_other_coding=True).delete()
    again = entry("Condition", code=TWICE, recordedDate="2026-01-01", note=[{"text": "sent again"}])
    assert "conditions" not in door.bring(again) and found_by(Condition, "E11.9") == 1


def test_a_range_and_a_titre_keep_their_digits() -> None:
    low, high = {"value": 1234567, "unit": "/L"}, {"value": 2345678.5, "unit": "/L"}
    assert value_of({"valueRange": {"low": low, "high": high}}, "here").words == "1234567 to 2345678.5"
    assert value_of({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 1234567}}}, "here").words == "1 : 1234567"


def test_a_range_of_two_units_says_both() -> None:
    mixed = value_of({"valueRange": {"low": {"value": 5, "unit": "g"}, "high": {"value": 500, "unit": "mg"}}}, "here")
    assert (mixed.words, mixed.unit) == ("5 g to 500 mg", "")
    alike = value_of({"valueRange": {"low": {"value": 5, "unit": "g"}, "high": {"value": 9, "unit": "g"}}}, "here")
    assert (alike.words, alike.unit) == ("5 to 9", "g")
