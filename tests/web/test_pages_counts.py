"""Every number of people on the cohort page is rounded, whatever is asked; the true one stands nowhere in the page."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client
from salus_web.audit.models import Event
from salus_web.cohorts.models import Project

from tests.factories.cohorts import make_bundle, make_crowd, make_project, observe, picture, predict
from tests.factories.people import make_site, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
WOMEN, MEN, OTHERS, MEASURED, IMAGED, JUDGED = 43, 7, 23, 34, 12, 33
# definition, true number of people, what the page says
ASKED = [
    ({}, 73, "75 people"),
    ({"sex": "female"}, WOMEN, "45 people"),
    ({"sex": "other"}, OTHERS, "25 people"),
    ({"sex": "male"}, MEN, "fewer than 11 people; not shown"),
    ({"code_0": "a"}, MEASURED, "35 people"),
    ({"modality": "CT"}, IMAGED, "10 people"),
    ({"task": "tiny"}, JUDGED, "35 people"),
    ({"task": "tiny", "risk_low": "50"}, 3, "fewer than 11 people; not shown"),
    ({"sex": "female", "code_0": "a", "modality": "CT", "task": "tiny"}, IMAGED, "10 people"),
    ({"sex": "female", "conditions": "38341003"}, 0, "fewer than 11 people; not shown"),
]


@pytest.fixture
def desk() -> tuple[Client, str]:
    """A researcher at the page of a project with three groups of odd sizes."""
    site = make_site()
    researcher, client = make_user("researcher", site), Client()
    client.force_login(researcher)
    project: Project = make_project(site, members=[researcher])
    bundle = make_bundle("tiny", 'column = "ill"\npositive = ["yes"]')
    women = make_crowd(site, WOMEN)
    make_crowd(site, MEN, sex="male")
    make_crowd(site, OTHERS, sex="other", age=63)
    for number, person in enumerate(women):
        if number < MEASURED:
            observe(person, "a", 101.0, unit="g")
        if number < IMAGED:
            picture(person, "CT")
        if number < JUDGED:
            predict(person, bundle, 0.9 if number < 3 else 0.1)
    return client, f"/cohorts/projects/{project.pk}/"


def numbers_of_people(page: str) -> list[int]:
    """Every count on the page: the total, the bars' words, the cells of table 1."""
    cells = re.findall(r'<tr><td>[^<]*</td><td>[^<]*</td><td class="num">(\d+)</td>', page)
    bars = re.findall(r'<text [^>]*class="b"[^>]*>([\d,]+)</text>', page)
    return [int(found.replace(",", "")) for found in [*cells, *bars, *re.findall(r">(\d+) <small>people", page)]]


@pytest.mark.parametrize(("asked", "true", "said"), ASKED)
def test_every_count_is_rounded_and_small_ones_are_hidden(
    desk: tuple[Client, str], asked: dict[str, str], true: int, said: str
) -> None:
    client, address = desk
    answer = client.get(address, asked | {"fragment": ""})
    page = html.unescape(answer.content.decode())
    assert said in text_of(answer)
    found = numbers_of_people(page)
    assert found and not [number for number in found if number % 5 or 0 < number < 10]
    spoken = re.sub(r'\s(x|y|x1|x2|y1|y2|width|height|viewBox|d|points|stroke-width)="[^"]*"', "", page)
    for count in {true, WOMEN, MEN, OTHERS, MEASURED, IMAGED, JUDGED, 73} - {0}:
        assert not re.search(rf"(?<![\d.]){count}(?![\d.]|\s?%)", spoken), f"the true count {count} stands in the page"


def test_a_look_at_a_cohort_is_logged_and_names_nobody(desk: tuple[Client, str]) -> None:
    client, address = desk
    client.get(address)
    line = Event.objects.get(action="cohort.read")
    assert line.object_id == address[:80] and line.patient == "" and line.detail == {"definition": {}}


def test_the_log_holds_what_was_asked_so_that_differencing_is_seen(desk: tuple[Client, str]) -> None:
    client, address = desk
    for oldest in ("80", "79"):
        client.get(address, {"age_low": "50", "age_high": oldest, "sex": "female", "code_0": "a", "fragment": ""})
    client.get(address, {"age_low": "Planted Name", "fragment": ""})
    first, second, third = Event.objects.filter(action="cohort.read").order_by("number").values_list("detail", flat=True)
    assert first["definition"] == {"age_low": 50, "age_high": 80, "sexes": ["female"], "codes": [{"code": "a", "low": None, "high": None, "unit": ""}]}
    assert second["definition"] == first["definition"] | {"age_high": 79} and third == {"definition": None}


def test_a_small_mean_keeps_its_digits_and_the_page_says_how_far_off_it_is(desk: tuple[Client, str]) -> None:
    client, address = desk
    for number, person in enumerate(make_crowd(Project.objects.get().sites.get(), 40)):
        observe(person, "tiny", 0.012 + number % 5 / 1000, unit="g")
    answer = client.get(address, {"code_0": "tiny", "fragment": ""})
    found = re.search(r"tiny\s+40\s+(0\.01\d+) \((0\.00\d+)\)\s+±(0\.0\d+)\s+g", text_of(answer))
    assert found and abs(float(found[1]) - 0.014) <= float(found[3]) < 0.001, text_of(answer)
    assert "blurred on purpose" in text_of(answer)
