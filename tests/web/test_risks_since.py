"""What became of a risk since: of when it is, by which model, what took its place, and what its page then keeps to itself."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from salus_web.common.clock import now
from salus_web.common.ids import new_id
from salus_web.predictions.models import CurrentRisk, Prediction
from salus_web.registry.models import ModelBundle

from tests.factories.cohorts import observe
from tests.factories.hospital import Person
from tests.factories.people import SYSTEM
from tests.web.test_pages_clinician import text_of
from tests.web.test_pages_risks import Admit, shown, ward  # noqa: F401 (a fixture)

pytestmark = pytest.mark.django_db


def later(person: Person, *, minutes: float = 5) -> Prediction:
    """A newer risk of the same patient and question, which takes the place of the one they had."""
    risk = Prediction.objects.for_actor(SYSTEM).get(pk=person.prediction.pk)
    risk.pk, risk.job, risk.account_sealed, risk.probability = new_id(), None, b"", 0.62
    risk.created_at += timedelta(minutes=minutes)
    risk.save(force_insert=True)
    CurrentRisk.objects.for_actor(SYSTEM).filter(patient=person.patient).update(prediction=risk, state="computed", sort_probability=0.62)
    return risk


def without_number(person: Person, state: str) -> None:
    """Bring a risk into a state in which its page has no number; a computed one stays as it is."""
    if state == "stale":
        CurrentRisk.objects.for_actor(SYSTEM).update(state="stale", sort_probability=None)
    elif state == "withdrawn":
        ModelBundle.objects.update(state="withdrawn")
    elif state in {"abstained", "failed"}:
        Prediction.objects.for_actor(SYSTEM).update(state=state, why="The image looks upside down.")
    elif state == "superseded":
        later(person)


def test_a_risk_of_an_old_stay_says_of_when_it_is(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """It was computed just now, and data came in just now: only the moment it speaks of tells that it is of an old stay."""
    client, admit = ward
    old, fresh = admit("Qold"), admit("Qfresh")
    long_ago = now() - timedelta(days=600)
    Prediction.objects.for_actor(SYSTEM).filter(patient=old.patient).update(index_at=long_ago)
    Prediction.objects.for_actor(SYSTEM).filter(patient=fresh.patient).update(index_at=now() - timedelta(minutes=200))
    page = shown(client.get("/worklist/"))
    rows = {token: next(row for row in re.findall(r"<tr>.*?</tr>", page, re.S) if f"Name{token}" in row) for token in ("Qold", "Qfresh")}
    assert "<th>As of</th>" in page and ">3 h ago</time></td>" in rows["Qfresh"] and f">{long_ago:%d %b %Y}</time></td>" in rows["Qold"]
    rail = text_of(client.get(f"/patients/{old.patient.pk}/")).split(" Risks now ")[1].split(" Images ")[0]
    assert f"as of {long_ago:%d %b %Y}" in rail and "computed now" in rail
    page = text_of(client.get(f"/predictions/{fresh.prediction.pk}/"))
    assert "computed now" in page and "now ago" not in page


@pytest.mark.parametrize(
    ("origin", "bundle", "said"),
    [
        ("live", "live", "by the model on duty"), ("live", "retired", "by the model on duty then, which has since retired"),
        ("out_of_fold", "live", "by a model that had not seen this patient in training"),
        ("out_of_fold", "candidate", "by a model that had not seen this patient in training; the model of that training is a candidate that nobody has made live"),
        ("out_of_fold", "retired", "by a model that had not seen this patient in training; the model of that training has since retired"),
    ],
)  # fmt: skip
def test_a_risk_says_what_its_model_is_today(ward: tuple[Client, Admit], origin: str, bundle: str, said: str) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qhow")
    Prediction.objects.for_actor(SYSTEM).update(origin=origin)
    ModelBundle.objects.update(state=bundle)
    assert f"<dt>how</dt><dd>{said}</dd>" in shown(client.get(f"/predictions/{person.prediction.pk}/"))
    assert f">{said}</td>" in shown(client.get(f"/patients/{person.patient.pk}/"))


def test_a_risk_that_a_newer_one_took_the_place_of_has_no_number_and_leads_to_it(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    client, admit = ward
    person = admit("Qfirst", probability=0.37)
    CurrentRisk.objects.for_actor(SYSTEM).update(state="stale", sort_probability=None)
    newer = later(person)
    page = shown(client.get(f"/predictions/{person.prediction.pk}/"))
    for words in ("37 %", "20–40", "37 of 100", "typical patient", "operating point", "+12.1", "• computed"):
        assert words not in page, words
    assert "↷ superseded" in page and f'<a href="/predictions/{newer.pk}/">' in page
    page = shown(client.get(f"/predictions/{newer.pk}/"))
    assert "62 %" in page and "superseded" not in page


def test_of_two_cases_of_one_moment_neither_overtakes_the_other(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """A person with two cases in one training has a risk of each; data that comes later makes both stale."""
    client, admit = ward
    person = admit("Qtwice", probability=0.37)
    other = later(person, minutes=0)
    address = f"/predictions/{person.prediction.pk}/"
    page = shown(client.get(address))
    assert "37 %" in page and "superseded" not in page and "not the patient's risk now" in page and f"/predictions/{other.pk}/" in page
    CurrentRisk.objects.for_actor(SYSTEM).update(state="stale", sort_probability=None)
    page = shown(client.get(address))
    assert "37 %" not in page and "data changed since" in page


@pytest.mark.parametrize("state", ["stale", "withdrawn", "abstained", "superseded"])
def test_a_film_beside_a_risk_without_a_number_has_no_map(ward: tuple[Client, Admit], state: str) -> None:  # noqa: F811
    """Each cell of a map says points of risk, and one of an image that the gate refused says them of nothing."""
    client, admit = ward
    person = admit("Qmap", probability=0.37)
    address = f"/predictions/{person.prediction.pk}/"
    marks = ("salus-map", "+0.1 points", "raises the risk", "+4.9 points", "Map opacity")
    fresh = shown(client.get(address))
    assert all(mark in fresh for mark in marks)
    without_number(person, state)
    page = shown(client.get(address))
    assert not [mark for mark in marks if mark in page]
    assert f"/images/{person.instance.pk}/display.png" in page and "without the map" in page, "the plain film stays"


@pytest.mark.parametrize("state", ["computed", "stale", "withdrawn", "abstained", "superseded", "failed"])
def test_only_a_risk_with_a_number_asks_for_a_judgement(ward: tuple[Client, Admit], state: str) -> None:  # noqa: F811
    """What was said of it before stays to be read."""
    client, admit = ward
    person = admit("Qjudge")
    client.post(f"/predictions/{person.prediction.pk}/review/", {"decision": "accept", "reason": "agree", "note": ""})
    without_number(person, state)
    page = shown(client.get(f"/predictions/{person.prediction.pk}/"))
    asks = f'action="/predictions/{person.prediction.pk}/review/#judgement"' in page
    assert asks is (state == "computed") and ("Only a risk with a number" in page) is not asks and "Accepted" in page


@pytest.mark.parametrize("state", ["computed", "abstained", "stale", "withdrawn", "failed"])
def test_a_risk_says_that_values_since_its_moment_are_not_in_it(ward: tuple[Client, Admit], state: str) -> None:  # noqa: F811
    """It was computed just now, and reads as if it knew what came in this hour."""
    client, admit = ward
    person = admit("Qsince")
    Prediction.objects.for_actor(SYSTEM).update(state=state if state in {"abstained", "failed"} else "computed")
    CurrentRisk.objects.for_actor(SYSTEM).update(state=state)
    ModelBundle.objects.update(state="withdrawn" if state == "withdrawn" else "live")
    index_at, newest = now() - timedelta(hours=4), now() - timedelta(minutes=20)
    Prediction.objects.for_actor(SYSTEM).update(index_at=index_at)
    observe(person.patient, "Pulse", 91.0, at=index_at)
    addresses = f"/predictions/{person.prediction.pk}/", f"/patients/{person.patient.pk}/"
    assert not any("are not in this risk" in shown(client.get(address)) for address in addresses), "what was read at that moment is in it"
    observe(person.patient, "Pulse", 117.0, at=newest)
    for address in addresses:
        says = f"Values since then (newest {newest:%d %b %Y %H:%M} UTC) are not in this risk." in shown(client.get(address))
        assert says is (state in {"computed", "abstained"}), address


def test_the_last_time_is_the_moment_it_speaks_of(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """Both were computed this minute; of one of them it once said so, as if the patient had stood there then."""
    client, admit = ward
    person = admit("Qbefore")
    newer, index_at = later(person), now() - timedelta(days=2)
    Prediction.objects.for_actor(SYSTEM).filter(pk=newer.pk).update(previous=person.prediction)
    for state, said in (("computed", "31 % (20–40) as of"), ("abstained", "cannot tell, as of")):
        Prediction.objects.for_actor(SYSTEM).filter(pk=person.prediction.pk).update(index_at=index_at, state=state)
        assert f"<dt>last time</dt><dd>{said} {index_at:%d %b %Y %H:%M} UTC</dd>" in shown(client.get(f"/predictions/{newer.pk}/"))


def test_the_cells_of_a_map_stand_in_a_table_and_times_have_their_zone(ward: tuple[Client, Admit]) -> None:  # noqa: F811
    """What a cell says only on hover nobody reads on a telephone."""
    client, admit = ward
    person = admit("Qcells")
    client.post(f"/predictions/{person.prediction.pk}/review/", {"decision": "accept", "reason": "agree", "note": ""})
    page = shown(client.get(f"/predictions/{person.prediction.pk}/"))
    table = page.split("The map's cells as a table</summary>")[1].split("</details>")[0]
    assert table.count('<td class="num">+0.1</td>') == 49 and table.count("<tr>") == 7
    assert re.search(r"<figcaption>film of \d\d \w{3} \d{4} \d\d:\d\d UTC", page) and re.search(r"by Clinician[^<]*, \d\d \w{3} \d{4} \d\d:\d\d UTC:", page)
    CurrentRisk.objects.for_actor(SYSTEM).update(state="stale")
    assert "cells as a table" not in shown(client.get(f"/predictions/{person.prediction.pk}/"))
