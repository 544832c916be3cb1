"""One patient on one page: what the time axis draws, and what of the record is said whatever the span."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.common.clock import now
from salus_web.records.models import Medication, Observation

from tests.factories.cohorts import observe
from tests.factories.hospital import Person
from tests.factories.people import SYSTEM
from tests.web.test_pages_clinician import text_of
from tests.web.test_pages_risks import Admit, shown, ward  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db


def part(page: str, heading: str) -> str:
    """A section of the page by its heading."""
    return page.split(f"<h2>{heading}")[1].split("</section>")[0]


def chart_of(client: Client, person: Person, span: str = "3d") -> str:
    return part(shown(client.get(f"/patients/{person.patient.pk}/?span={span}")), "The record on one time axis")


def give(person: Person, drug: str, *, begun: float, ended: float | None = None) -> None:
    """A drug, begun and ended so many days ago."""
    ends_at = None if ended is None else now() - timedelta(days=ended)
    Medication.objects.create(
        patient=person.patient, system="s", code=drug, display=drug, starts_at=now() - timedelta(days=begun), ends_at=ends_at, source="x", source_key=drug
    )  # fmt: skip


# --- what stands there whatever the span


def test_the_newest_value_of_each_is_shown_however_old_with_its_age(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """A creatinine of last week was not on the page of the last three days, as if none had ever been taken."""
    client, admit = ward
    person = admit("Qlast")
    for days, value in ((400, 71.0), (9, 88.0)):
        observe(person.patient, "Creatinine", value, unit="umol/L", at=now() - timedelta(days=days))
    for span in ("3d", "30d", "all"):
        newest = part(shown(client.get(f"/patients/{person.patient.pk}/?span={span}")), "Newest values")
        (row,) = re.findall(r"<tr><td>Creatinine.*?</tr>", newest)
        assert ">88<" in row and ">9 d</time>" in row and "71" not in re.sub(r"<[^>]*>", " ", row)
    page = text_of(client.get(f"/patients/{person.patient.pk}/"))
    assert page.index("Creatinine") > page.index("Qlast display"), "the newest first"


def test_of_very_many_values_it_is_said_that_not_all_are_shown(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qmany")
    Observation.objects.for_actor(SYSTEM).filter(patient=person.patient).delete()
    for at in range(61):
        observe(person.patient, f"lab{at}", 1.0, at=now() - timedelta(days=at))
        newest = part(shown(client.get(f"/patients/{person.patient.pk}/")), "Newest values") if at > 58 else ""
        assert ("The 60 measured last are shown." in newest) is (at == 60)
    assert "lab0<" in newest and "lab59<" in newest and "lab60<" not in newest


def test_drugs_that_are_still_given_or_ended_in_the_span_are_drawn(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qdrug")
    give(person, "Warfarin", begun=90)
    give(person, "Heparin", begun=40, ended=1)
    give(person, "Amoxicillin", begun=40, ended=30)
    chart = chart_of(client, person)
    assert ">Warfarin</text>" in chart and f"Warfarin, from {now() - timedelta(days=90):%d %b %Y}</title>" in chart
    assert ">Heparin</text>" in chart and "Amoxicillin" not in chart
    for at in range(8):
        give(person, f"New{at}", begun=0.5)
    chart = chart_of(client, person)
    assert "Warfarin" not in chart and "3 more drugs of this time, begun earlier, stand under Drugs only." in chart


def test_a_drug_alone_is_drawn_as_well(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qonly")
    for rows in (Observation, type(person.prediction), type(person.instance), Medication):
        rows.objects.for_actor(SYSTEM).filter(patient=person.patient).delete()
    assert "Nothing was recorded in this time." in chart_of(client, person)
    give(person, "Warfarin", begun=90)
    for span in ("3d", "all"):
        assert ">Warfarin</text>" in chart_of(client, person, span)
