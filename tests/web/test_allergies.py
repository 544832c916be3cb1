"""The banner warns of the worst allergies that are live and says how many more there are; the patient's page has them all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from salus_web.records.models import Allergy, Condition, Medication, Patient

from tests.factories.people import SYSTEM, client_of, make_user, relate
from tests.web.test_ingest_corrections import ALLERGY, CONDITION, MEDICATION, Door

pytestmark = pytest.mark.django_db
HARMLESS = ["Birch", "Cat dander", "Dust", "Egg", "Grass", "Latex"]


@pytest.fixture
def door() -> Door:
    return Door()


def allergy(name: str, **more: Any) -> dict[str, Any]:
    return {"resource": ALLERGY["resource"] | {"id": name.replace(" ", "-"), "code": {"text": name}} | more}


def status(code: str) -> dict[str, Any]:
    return {"clinicalStatus": {"coding": [{"code": code}]}}


def page(door: Door) -> tuple[str, str]:
    """The words of the banner and of the whole page, for a clinician who cares for the patient."""
    user, patient = make_user("clinician", door.site), Patient.objects.for_actor(SYSTEM).get()
    relate(user, patient)
    page = client_of(user).get(f"/patients/{patient.pk}/").content.decode()
    banner = page[page.index('aria-label="Patient"') : page.index("what is allowed")]
    return banner, re.sub(r"\s+", " ", page)


def test_the_worst_comes_first_and_the_rest_is_a_step_away(door: Door) -> None:
    door.bring(*(allergy(name, criticality="low") for name in HARMLESS), allergy("Iodine"), allergy("Penicillin", criticality="high"))
    banner, whole = page(door)
    assert re.findall(r"⚠ ([A-Z]\w+)", banner)[:2] == ["Penicillin", "Iodine"]
    assert "⚠ and 2 more" in banner and '/#allergies"' in banner
    section = whole[whole.index('id="allergies"') :]
    assert all(name in section for name in (*HARMLESS, "Iodine", "Penicillin")) and "criticality high" in section


def test_six_are_all_there_are(door: Door) -> None:
    door.bring(*(allergy(name) for name in HARMLESS))
    assert "more</strong>" not in page(door)[0]


@pytest.mark.parametrize("code", ["resolved", "inactive"])
def test_one_that_is_over_warns_of_nothing_and_stands_on_the_page(door: Door, code: str) -> None:
    door.bring(allergy("Egg", **status("active")), allergy("Latex", **status(code)))
    banner, whole = page(door)
    assert "Egg" in banner and "Latex" not in banner and f"Latex <span class=\"small quiet\">{code}" in whole
    assert door.bring(allergy("Egg", **status(code)))["ended"] == 1
    assert "no allergy recorded" in page(door)[0]
    assert set(Allergy.objects.for_actor(SYSTEM).values_list("status", flat=True)) == {code}
    assert door.bring(allergy("Egg", **status("active")), issued="2026-01-01")["corrected"] == 1
    assert "Egg" in page(door)[0], "one that is said to be active again warns, whichever file is older: one too many is the safe side"


def test_of_many_problems_and_drugs_the_page_says_how_many_more_there_are(door: Door) -> None:
    def many(said: dict[str, Any], number: int, when: str) -> list[dict[str, Any]]:
        return [{"resource": said["resource"] | {"id": f"m{at}", when: f"{1900 + at}-01-01"}} for at in range(number)]

    door.bring(*many(CONDITION, 103, "recordedDate"), *many(MEDICATION, 101, "authoredOn"))
    assert (Condition.objects.for_actor(SYSTEM).count(), Medication.objects.for_actor(SYSTEM).count()) == (103, 101)
    _, whole = page(door)
    assert re.findall(r"and (\d+) more; the newest 100", whole) == ["3", "1"]
