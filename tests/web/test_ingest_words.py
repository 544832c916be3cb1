"""What a bundle is refused for names the entry and what is wrong with it, and what FHIR allows does not refuse it."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.records.models import Condition

from tests.factories.people import SYSTEM
from tests.web.test_ingest_corrections import CONDITION, ENCOUNTER, Door, door  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": "Patient/p"}, "a part of it has another form than FHIR gives it"),
        ({"period": []}, "period.start is missing"), ({"location": {"location": {}}}, "a part of it has another form than FHIR gives it"),
        ({"period": {"start": "soon"}}, "period.start “soon” is not a date and time"),
    ],
)  # fmt: skip
def test_a_wrong_form_is_said_with_its_entry(door: Door, change: dict[str, Any], said: str) -> None:  # noqa: F811
    why = door.refused({"resource": ENCOUNTER["resource"] | change})
    assert "entry 3 (Encounter)" in why and said in why and "Error" not in why and "None" not in why


def test_a_quantity_without_its_number_is_said_to_lack_it(door: Door) -> None:  # noqa: F811
    why = door.refused(valueQuantity={"unit": "mg/dL"})
    assert "valueQuantity.value is missing" in why


def test_a_diagnosis_whose_onset_is_an_age_is_left_out_and_counted(door: Door) -> None:  # noqa: F811
    undated = {key: value for key, value in CONDITION["resource"].items() if key not in {"recordedDate", "onsetDateTime"}}
    said = door.bring({"resource": undated | {"onsetAge": {"value": 52, "unit": "a"}}})
    assert said["left out: Condition whose date is not said"] == 1 and not Condition.objects.for_actor(SYSTEM).exists()
