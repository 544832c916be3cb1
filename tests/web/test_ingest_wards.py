"""Which ward sees a patient: the one where they are, whatever order the places of a stay are listed in."""

from __future__ import annotations

from typing import Any

import pytest
from salus_web.records.models import CareRelation, Encounter

from tests.factories.people import SYSTEM
from tests.web.test_ingest_corrections import ENCOUNTER, Door, door  # noqa: F401


def place(name: str, status: str = "", start: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"location": {"display": name}}
    return found | ({"status": status} if status else {}) | ({"period": {"start": start}} if start else {})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("places", "ward"),
    [
        ([place("Now", "active"), place("Before", "completed")], "Now"),
        ([place("Now", "active"), place("Soon", "planned")], "Now"),
        ([place("Now", "active", "2026-01-03T08:00:00Z"), place("Earlier", "active", "2026-01-02T08:00:00Z")], "Now"),
        ([place("Unsaid"), place("Before", "completed"), place("Kept", "reserved")], "Unsaid"),
        ([place("First"), place("Last")], "Last"), ([place("Soon", "planned")], ""),
    ],
)  # fmt: skip
def test_the_ward_is_where_the_patient_is(door: Door, places: list[dict[str, Any]], ward: str) -> None:  # noqa: F811
    door.bring({"resource": ENCOUNTER["resource"] | {"location": places, "reasonCode": [{"text": "Fever"}]}})
    stay = Encounter.objects.for_actor(SYSTEM).get()
    assert (stay.ward, stay.reason) == (ward, "Fever")
    assert list(CareRelation.objects.filter(team__isnull=False).values_list("team__name", flat=True)) == ([ward] if ward else [])
