"""A preliminary value stands until its final one comes, is marked as what it is, and never comes back."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.predictions.models import CurrentRisk
from salus_web.records.models import Observation, Patient

from tests.factories.hospital import make_bundle
from tests.factories.people import SYSTEM, client_of, make_user, relate
from tests.web.test_current_risks import outcome, store
from tests.web.test_ingest_corrections import Door, door, values  # noqa: F401 - one is a fixture
from tests.web.test_ingest_parsers import bundle

pytestmark = pytest.mark.django_db


def value(number: float, status: str) -> dict[str, Any]:
    return {"status": status, "valueQuantity": {"value": number, "code": "/min"}}


def panel(status: str, *parts: tuple[str, float]) -> dict[str, Any]:
    return {"status": status, "component": [{"code": {"text": name}, "valueQuantity": {"value": number, "unit": "mm"}} for name, number in parts]}


def shown(door: Door) -> str:  # noqa: F811
    """The patient's page, for somebody who cares for them."""
    doctor, patient = make_user("clinician", door.site), Patient.objects.for_actor(SYSTEM).get()
    relate(doctor, patient)
    return str(client_of(doctor).get(f"/patients/{patient.pk}/", {"span": "all"}).content.decode())


@pytest.mark.parametrize("first", ["registered", "preliminary"])
@pytest.mark.parametrize("then", ["final", "corrected", "amended"])
def test_a_final_value_replaces_a_preliminary_one_and_the_risk_is_stale(door: Door, first: str, then: str) -> None:  # noqa: F811
    door.bring(**value(61, first))
    assert values() == [61.0] and "61 (preliminary)" in shown(door)
    store(make_bundle(), outcome(Patient.objects.for_actor(SYSTEM).get(), 0.31))
    assert door.bring(**value(110, then))["corrected"] == 1
    assert values() == [110.0] and "preliminary" not in shown(door)
    assert CurrentRisk.objects.for_actor(SYSTEM).get().state == "stale"


def test_the_same_value_becomes_final_and_stays_the_same_row(door: Door) -> None:  # noqa: F811
    door.bring(**value(61, "preliminary"))
    before = Observation.objects.for_actor(SYSTEM).get().pk
    assert "corrected" not in door.bring(**value(61, "final"))
    row = Observation.objects.for_actor(SYSTEM).get()
    assert (row.pk, row.is_preliminary) == (before, False)
    door.bring(**value(62, "final"))
    assert values() == [61.0], "of two final ones nobody can tell which is the newer"


def test_a_preliminary_value_replaces_no_final_one_and_adds_nothing_to_it(door: Door) -> None:  # noqa: F811
    door.bring(**value(61, "final"))
    door.bring(**value(60, "preliminary"), component=[{"code": {"text": "more"}, "valueQuantity": {"value": 1, "unit": "mm"}}])
    assert values() == [61.0] and not Observation.objects.for_actor(SYSTEM).filter(is_preliminary=True).exists()


@pytest.mark.parametrize("order", [1, -1])
def test_in_one_file_the_final_value_stands(door: Door, order: int) -> None:  # noqa: F811
    first, last = [value(60, "preliminary"), value(61, "final")][::order]
    door.bring(bundle(**last)["entry"][1], **first)
    assert values() == [61.0] and not Observation.objects.for_actor(SYSTEM).get().is_preliminary


def test_a_panel_that_was_given_in_part_is_made_whole_in_another_order(door: Door) -> None:  # noqa: F811
    door.bring(**panel("preliminary", ("b", 2)))
    door.bring(**panel("final", ("a", 1), ("b", 3)))
    assert values() == [88.0, 1.0, 3.0]
