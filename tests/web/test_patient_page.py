"""One patient on one page: what the time axis draws, and what of the record is said whatever the span."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from salus_web.common.clock import now
from salus_web.dashboard.charts.timeline import Timeline, timeline
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.records.models import Medication, Observation
from salus_web.registry.models import ModelBundle, TaskFile

from tests.factories.cohorts import observe
from tests.factories.hospital import Person, make_bundle
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


# --- what the time axis says


def test_the_axis_of_a_short_stay_says_its_day_year_and_zone() -> None:
    """Over midnight the hours alone read as if time ran backwards; of a stay long ago the year was nowhere."""
    day = datetime(2025, 4, 15, 9, 30, tzinfo=UTC)
    for start, hours, shared, ticks in (
        (day, 6, "15 Apr 2025, UTC", ["09:30", "15:30"]), (day, 24, "2025, UTC", ["15 Apr 09:30", "16 Apr 09:30"]),
        (day, 24 * 30, "UTC", ["15 Apr 2025", "15 May 2025"]),
        (datetime(2025, 12, 31, 22, tzinfo=UTC), 6, "UTC", ["31 Dec 2025 22:00", "01 Jan 2026 04:00"]),
    ):  # fmt: skip
        chart = timeline(Timeline(start, start + timedelta(hours=hours), [], [], [], [], []))
        said = re.findall(r">([^<>]+)</text>", chart)
        assert [said[0], said[1], said[-1]] == [shared, *ticks]


def test_what_a_mark_says_has_its_year_and_zone_and_stands_in_words_below(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """On a telephone and for who hears the page there is no hover."""
    client, admit = ward
    person = admit("Qmark")
    moments = [now() - timedelta(hours=hours) for hours in (5, 3)]
    for moment, value in zip(moments, (1_250_000.0, 140_000.0), strict=True):
        observe(person.patient, "Platelets", value, unit="/uL", at=moment)
    chart = chart_of(client, person)
    drawn, words = chart.split("What is drawn, in words")
    for moment, value in zip(moments, ("1\u202f250\u202f000", "140\u202f000"), strict=True):
        said = f"Platelets {value} /µL, {moment:%d %b %Y %H:%M} UTC, test"
        assert f"<title>{said}</title>" in drawn and f"<li>{said}</li>" in words
    assert ">140\u202f000</text>" in drawn and "tables below" not in drawn
    assert f"Deterioration: 31 % (20–40), as of {person.prediction.index_at:%d %b %Y %H:%M} UTC</li>" in words
    assert [name in words for name in ("stays (1)", "films (1)", "drugs (1)", "Platelets /µL (2)")] == [True] * 4


def test_a_laboratory_value_is_in_plain_decimals(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qlab")
    observe(person.patient, "Platelets", 1_250_000.0, unit="/uL")
    observe(person.patient, "TSH", 0.00004, unit="m[IU]/L")
    newest = part(shown(client.get(f"/patients/{person.patient.pk}/")), "Newest values")
    assert ">1\u202f250\u202f000</td><td>/µL<" in newest and ">0.00004</td><td>mIU/L<" in newest and "e-05" not in newest


def test_a_value_of_the_future_is_said_to_lie_ahead(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """A monitor whose clock is wrong once gave a value that read as one of this minute."""
    client, admit = ward
    person = admit("Qahead")
    observe(person.patient, "Pulse", 91.0, at=now() + timedelta(hours=3, minutes=1))
    assert ">in 3 h, if the clock is right</time>" in part(shown(client.get(f"/patients/{person.patient.pk}/")), "Newest values")
    assert ">in 3 h, if the clock is right</time>" in shown(client.get("/worklist/"))


def test_two_questions_have_a_line_each_and_none_runs_over_a_gap(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """“Cannot tell” between two numbers once read as a risk between them."""
    client, admit = ward
    person = admit("Qline")
    other = TaskFile.objects.create(task_id="t2", title="Readmission", text="", digest="e" * 64, loaded_by="x", loaded_at=now())
    second = make_bundle("candidate")
    second.task = other
    second.save()
    for hours, bundle, state in ((4, 0, "computed"), (8, 0, "computed"), (12, 0, "abstained"), (16, 0, "computed"), (6, 1, "computed"), (10, 1, "computed")):
        Prediction.objects.create(
            patient=person.patient, bundle=second if bundle else person.prediction.bundle, task_id="t2" if bundle else "t48", state=state,
            index_at=now() - timedelta(hours=hours), created_at=now() - timedelta(hours=hours), probability=0.5, low=0.4, high=0.6, requested_by="x",
        )  # fmt: skip
    drawn = chart_of(client, person).split("What is drawn")[0]
    paths = re.findall(r'<path d="([^"]*)" class="f-none k-risk"', drawn)
    assert sorted(path.count("L") for path in paths) == [1, 2], "of the one now, 4 h and 8 h ago; not 16 h; of the other both"
    assert ">Deterioration</text>" in drawn and ">Readmission</text>" in drawn
    spark = re.search(r'<svg[^>]*aria-label="risk so far: 50 %, no number, 50 %, 50 %, 31 %".*?</svg>', shown(client.get("/worklist/?task=t48")))
    assert spark and [path.count("L") for path in re.findall(r'<path d="([^"]*)"', spark[0])] == [2] and spark[0].count("<circle") == 4


@pytest.mark.parametrize("state", ["computed", "abstained", "failed", "stale", "withdrawn"])
def test_what_a_risk_found_is_said_only_while_it_stands(ward: tuple[Client, Admit], state: str) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qwhy")
    Prediction.objects.for_actor(SYSTEM).update(why="Neither answer can be excluded.", state="abstained" if state in {"stale", "withdrawn"} else state)
    CurrentRisk.objects.for_actor(SYSTEM).update(state=state)
    if state == "withdrawn":
        ModelBundle.objects.update(state="withdrawn")
    for address in (f"/patients/{person.patient.pk}/", f"/predictions/{person.prediction.pk}/"):
        assert ("Neither answer" in shown(client.get(address))) is (state in {"computed", "abstained", "failed"}), address
