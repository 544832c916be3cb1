"""A form that is sent after its session ended: the way leads back to the form's own page, and it is said that nothing was stored."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest
from django.test import Client
from salus_web.accounts.models import RoleGrant, SignIn, User
from salus_web.common import clock

from tests.factories.factors import code_now, enter, give_app
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import PASSWORD, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
SAID = "Nothing was stored; please send it again."


@pytest.fixture
def nurse() -> User:
    return make_user("clinician", make_site())


def left_open(user: User) -> Client:
    """A browser whose session was ended from elsewhere."""
    client = enter(user, PASSWORD)
    SignIn.objects.update(ended_at=clock.now(), ended_why="administrator")
    return client


def next_of(address: str) -> str:
    return parse_qs(urlparse(address).query)["next"][0]


def sign_in(client: Client, user: User, page: str) -> Any:
    return client.post("/login/", {"username": user.username, "password": PASSWORD, "next": page})


def test_a_form_sent_too_late_comes_back_to_its_page_and_says_that_nothing_was_stored(nurse: User) -> None:
    client = left_open(nurse)
    answer = client.post("/worklist/ask/", {"task": "t48"}, headers={"referer": "http://testserver/worklist/?task=t48"})
    assert next_of(answer.headers["Location"]) == "/worklist/"
    assert "Nothing was stored of the form" in text_of(client.get(answer.headers["Location"]))
    back = sign_in(client, nurse, "/worklist/").headers["Location"]
    assert SAID in text_of(client.get(back)), "and not the browser's own page of a 405"
    assert SAID not in text_of(client.get(back)), "it is said once"


def test_a_judgement_sent_from_its_own_refusal_comes_back_to_the_risk(nurse: User) -> None:
    person = make_person(RoleGrant.objects.get(user=nurse).site, "Qlate", make_bundle())
    relate(nurse, person.patient)
    client, risk = left_open(nurse), f"/predictions/{person.prediction.pk}/"
    refused_page = {"referer": f"http://testserver{risk}review/"}
    answer = client.post(f"{risk}review/", {"decision": "accept", "reason": "agree"}, headers=refused_page)
    assert next_of(answer.headers["Location"]) == risk
    sign_in(client, nurse, risk)
    assert SAID in text_of(client.get(risk))


def test_it_is_said_after_a_second_step_too(nurse: User) -> None:
    give_app(nurse)
    client = Client()
    answer = client.post("/requests/", {"wanted": "x"}, headers={"referer": "http://testserver/requests/"})
    sign_in(client, nurse, next_of(answer.headers["Location"]))
    assert client.post("/login/code/", {"code": code_now()}).headers["Location"] == "/requests/"
    assert SAID in text_of(client.get("/requests/"))


def test_what_htmx_sends_too_late_is_said_as_well_and_what_it_asks_is_not(nurse: User) -> None:
    person = make_person(RoleGrant.objects.get(user=nurse).site, "Qfragment", make_bundle())
    relate(nurse, person.patient)
    risk = f"/predictions/{person.prediction.pk}/"
    htmx = {"hx-request": "true", "hx-current-url": f"http://testserver{risk}"}
    client = left_open(nurse)
    client.get(f"{risk}", headers=htmx)
    sign_in(client, nurse, risk)
    assert SAID not in text_of(client.get(risk)), "nobody sent anything"
    client = left_open(nurse)
    answer = client.post(f"{risk}replay/", headers=htmx)
    assert answer.status_code == 401 and next_of(answer.headers["HX-Redirect"]) == risk
    sign_in(client, nurse, risk)
    assert SAID in text_of(client.get(risk))


def test_another_place_is_no_page_to_come_back_to(nurse: User) -> None:
    for sent_from in ("https://elsewhere.example/worklist/", "", "javascript:alert(1)"):
        answer = left_open(nurse).post("/worklist/ask/", headers={"referer": sent_from} if sent_from else {})
        assert next_of(answer.headers["Location"]) == "/", sent_from
