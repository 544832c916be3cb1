"""What the cohort's form offers tells of nobody, and a limit never mixes two units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import Site
from salus_web.cohorts.choices import code_choices, modality_choices, unit_choices, with_units
from salus_web.cohorts.definition import CodeRule, CohortDefinition
from salus_web.cohorts.models import Cohort
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden
from salus_web.records.models import Observation, Patient

from tests.factories.cohorts import make_crowd, make_project, observe, picture, say
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def setting(site: Site) -> dict[str, Any]:
    """A project at a site with one member; spread as `viewer` and `project`."""
    user = make_user("researcher", site)
    return {"viewer": actor_of(user), "project": make_project(site, members=[user])}


def everything(setting: dict[str, Any]) -> str:
    """All that the form offers."""
    return str([read(**setting) for read in (code_choices, unit_choices, modality_choices)])


def refuse(people: list[Patient]) -> None:
    for person in people:
        say(person, False)


def erase(people: list[Patient]) -> None:
    Patient.objects.for_actor(SYSTEM).filter(pk__in=[person.pk for person in people]).update(erased_at=now())


@pytest.mark.parametrize("leave", [refuse, erase])
def test_nobody_who_left_stands_behind_a_choice(site: Site, setting: dict[str, Any], leave: Callable[[list[Patient]], None]) -> None:
    """Eleven people have a code, a unit and an image; once one of them is out, ten do, and that is not told."""
    crowd = make_crowd(site, 11)
    for person in crowd:
        observe(person, "2160-0", 1.0, unit="mg/dL")
        picture(person, "MR")
    assert code_choices(**setting) == [("2160-0", "2160-0")]
    assert unit_choices(**setting) == [("mg/dL", "2160-0")] and modality_choices(**setting) == ["MR"]
    leave(crowd[:1])
    assert everything(setting) == "[[], [], []]"


def test_the_words_of_a_code_are_never_one_record_s_own(site: Site, setting: dict[str, Any]) -> None:
    crowd = make_crowd(site, 13)
    for person in crowd:
        observe(person, "2160-0", 1.0)
    Observation.objects.for_actor(SYSTEM).filter(patient__in=crowd[:12]).update(display="Creatinine")
    Observation.objects.for_actor(SYSTEM).filter(patient=crowd[12]).update(display="zz seen by her neighbour Dr Planted")
    assert code_choices(**setting) == [("2160-0", "Creatinine")]


def test_another_hospital_s_images_and_codes_are_no_choice(setting: dict[str, Any]) -> None:
    for person in make_crowd(make_site(), 20):
        observe(person, "2160-0", 1.0, unit="mg/dL")
        picture(person, "XA")
    assert everything(setting) == "[[], [], []]"


@pytest.mark.parametrize("read", [code_choices, unit_choices, modality_choices])
def test_who_is_not_in_the_project_is_offered_nothing(site: Site, setting: dict[str, Any], read: Any) -> None:
    with pytest.raises(Hidden):
        read(viewer=actor_of(make_user("researcher", site)), project=setting["project"])


# --- units


def limited(**more: Any) -> CohortDefinition:
    return CohortDefinition(codes=(CodeRule("2160-0", **{"low": 2.0} | more),))


def units_at(site: Site, units: dict[str, int]) -> None:
    for unit, people in units.items():
        for person in make_crowd(site, people):
            observe(person, "2160-0", 1.1 if unit == "mg/dL" else 97.0, unit=unit)


def test_a_limit_on_a_code_of_two_units_asks_which(site: Site, setting: dict[str, Any]) -> None:
    """“Creatinine from 2” took everybody who was measured in µmol/L, whose healthy values are near 97."""
    units_at(site, {"mg/dL": 30, "umol/L": 30})
    with pytest.raises(BadInput, match=r"2160-0 is recorded in more than one unit here: mg/dL, umol/L\. Choose the unit"):
        with_units(**setting, definition=limited())
    for free in (limited(unit="umol/L"), limited(low=None)):
        assert with_units(**setting, definition=free) == free


def test_a_limit_on_a_code_of_one_unit_is_in_that_unit(site: Site, setting: dict[str, Any]) -> None:
    """A few people's other unit is left out without a word of it."""
    units_at(site, {"mg/dL": 30, "umol/L": 3})
    assert with_units(**setting, definition=limited()) == limited(unit="mg/dL")


@pytest.mark.parametrize("units", [{"mg/dL": 9, "umol/L": 9}, {"mg/dL": 1}, {"": 3}, {}])
def test_rare_units_are_not_mixed_and_not_told_from_none(site: Site, setting: dict[str, Any], units: dict[str, int]) -> None:
    units_at(site, units)
    with pytest.raises(BadInput, match=r"^Fewer than 11 people have 2160-0 in one unit here\. Choose the unit that your limits are in\.$"):
        with_units(**setting, definition=limited())


def test_one_person_s_unit_beside_numbers_without_one_changes_nothing(site: Site, setting: dict[str, Any]) -> None:
    units_at(site, {"": 30, "mg/dL": 1})
    assert with_units(**setting, definition=limited()) == limited()


def test_the_page_asks_for_the_unit_shows_it_and_keeps_it(site: Site) -> None:
    user = make_user("researcher", site)
    desk: Client = client_of(user)
    address = f"/cohorts/projects/{make_project(site, members=[user]).pk}/"
    units_at(site, {"mg/dL": 30, "umol/L": 40})
    asked = {"code_0": "2160-0", "code_low_0": "50"}
    said = text_of(desk.get(address, asked))
    assert "Choose the unit that your limits are in" in said and "people 70" not in said
    answer = desk.get(address, asked | {"code_unit_0": "umol/L"})
    assert "With 2160-0 from 50 umol/L up" in text_of(answer).replace("Patients, with", "With") and "40 people" in text_of(answer)
    assert b'name="code_unit_0" list="units" class="short" value="umol/L"' in answer.content
    assert b'<option value="mg/dL">2160-0</option>' in answer.content
    assert desk.post(f"{address}save/", asked | {"name": "High"}).status_code == 409
    assert desk.post(f"{address}save/", asked | {"name": "High", "code_unit_0": "umol/L"}).status_code == 302
    assert Cohort.objects.get().definition["codes"][0]["unit"] == "umol/L"
