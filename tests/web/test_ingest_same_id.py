"""One id is one thing: another thing under an id that is here is refused by name, and nothing is lost or ended in silence."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.records.models import Allergy, Condition, Encounter, Medication

from tests.factories.people import SYSTEM
from tests.web.test_ingest_corrections import ALLERGY, CONDITION, ENCOUNTER, MEDICATION, Door, values
from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.django_db
POTASSIUM = {
    "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3", "display": "Potassium"}]},
    "valueQuantity": {"value": 7.1, "code": "mmol/L"},
}
OTHER = {"coding": [{"system": "http://snomed.info/sct", "code": "38341003", "display": "Hypertension"}]}


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize("status", ["final", "corrected", "entered-in-error"])
def test_another_measurement_under_the_same_id_is_refused(door: Door, status: str) -> None:
    door.bring()
    said = door.refused(status=status, **POTASSIUM)
    assert said.startswith("FHIR Observation/o1 is already here with another code.") and values() == [88.0]


def test_also_within_one_file(door: Door) -> None:
    assert "FHIR Observation/o1 is already here" in door.refused(bundle(**POTASSIUM)["entry"][1])
    assert values() == []


def test_a_correction_of_the_same_code_and_another_value_of_it_are_the_same_thing(door: Door) -> None:
    door.bring()
    door.bring(valueQuantity={"value": 90, "code": "/min"})
    assert values() == [88.0]
    door.bring(status="corrected", valueQuantity={"value": 61, "code": "/min"})
    assert values() == [61.0]


def test_the_same_thing_coded_in_one_more_way_is_the_same_thing(door: Door) -> None:
    local = {"coding": [{"system": "urn:local", "code": "HR"}]}
    door.bring(code=local)
    door.bring(code={"coding": [*local["coding"], *bundle()["entry"][1]["resource"]["code"]["coding"]]})
    assert values() == [88.0]


def test_the_parts_of_a_panel_may_come_in_another_order(door: Door) -> None:
    parts = [{"code": {"text": f"part {at}"}, "valueQuantity": {"value": at, "unit": "mm"}} for at in (1, 2)]
    door.bring(component=parts)
    door.bring(component=parts[::-1])
    assert sorted(map(str, values())) == ["1.0", "2.0", "88.0"]
    assert "another code" in door.refused(component=[parts[1], {"code": {"text": "part 3"}, "valueQuantity": {"value": 3, "unit": "mm"}}])


@pytest.mark.parametrize(
    ("table", "said", "change"),
    [
        (Condition, CONDITION, {"code": OTHER}), (Medication, MEDICATION, {"medicationCodeableConcept": OTHER}), (Allergy, ALLERGY, {"code": OTHER}),
        (Condition, CONDITION, {"code": OTHER, "abatementDateTime": "2026-02-01"}), (Medication, MEDICATION, {"medicationCodeableConcept": OTHER, "status": "stopped"}),
        (Condition, CONDITION, {"code": OTHER, "verificationStatus": {"coding": [{"code": "entered-in-error"}]}}),
    ],
)  # fmt: skip
def test_another_problem_drug_or_allergy_under_the_same_id_is_refused(door: Door, table: Any, said: dict[str, Any], change: dict[str, Any]) -> None:
    door.bring(said)
    before = table.objects.for_actor(SYSTEM).values().get()
    kind = said["resource"]["resourceType"]
    assert door.refused({"resource": said["resource"] | change}).startswith(f"FHIR {kind}/x1 is already here with another code.")
    assert table.objects.for_actor(SYSTEM).values().get() == before


def test_another_stay_under_the_same_id_is_refused_and_the_first_is_not_ended(door: Door) -> None:
    exactly = {"resource": ENCOUNTER["resource"] | {"period": {"start": "2026-01-01T10:00:00Z"}}}
    door.bring(exactly)
    other = {"resource": ENCOUNTER["resource"] | {"period": {"start": "2026-01-01T11:00:00Z", "end": "2026-01-01T12:00:00Z"}}}
    assert door.refused(other).startswith("FHIR Encounter/x1 is already here with another start.")
    assert Encounter.objects.for_actor(SYSTEM).get().ends_at is None
    door.bring({"resource": ENCOUNTER["resource"] | {"period": {"start": "2026-01-01", "end": "2026-01-05"}}})
    assert Encounter.objects.for_actor(SYSTEM).get().ends_at is not None, "the same day is the same start"


def test_two_patients_of_one_id_in_a_bundle_are_refused(door: Door) -> None:
    twin = bundle()["entry"][0]["resource"]
    assert "the same id and other identifiers" in door.refused({"resource": twin | {"identifier": [{"system": "urn:mrn", "value": "9999"}]}})
    door.bring({"resource": twin})
