"""How many requests a minute are answered: counted over processes, per person and per address, with a page that says when."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from salus_web.accounts import rates
from salus_web.accounts.models import TryCount
from salus_web.audit.models import Event

from tests.factories.people import PASSWORD, make_site, make_user
from tests.web.test_tokens import ask, secret_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def counted(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten a minute for a person, five for an address where nobody is signed in, and a minute that does not end."""
    settings.SALUS_REQUESTS_PER_PERSON, settings.SALUS_REQUESTS_PER_ADDRESS = 10, 5
    rates.counter.forget()
    monkeypatch.setattr(rates.time, "time", lambda: 1_000_000_040.0)


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(make_user("clinician", make_site(), name))
    return client


def test_a_person_past_the_limit_waits_and_others_do_not() -> None:
    greedy, quiet = signed_in("greedy"), signed_in("quiet")
    answers = [greedy.get("/worklist/").status_code for _ in range(14)]
    assert answers == [200] * 10 + [429] * 4
    said = greedy.get("/worklist/")
    assert said.headers["Retry-After"] == "40" and "Please wait 40 seconds" in said.content.decode()
    assert said.headers["Cache-Control"] == "no-store, private" and "Content-Security-Policy" in said.headers
    assert quiet.get("/worklist/").status_code == 200


def test_the_count_is_one_over_all_processes() -> None:
    client = signed_in("spread")
    assert [client.get("/worklist/").status_code for _ in range(9)] == [200] * 9
    rates.counter.forget()  # another process, which has seen nothing of this person
    assert [client.get("/worklist/").status_code for _ in range(3)] == [200, 429, 429]


def test_the_next_minute_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in("later")
    for _ in range(12):
        client.get("/worklist/")
    assert client.get("/worklist/").status_code == 429
    monkeypatch.setattr(rates.time, "time", lambda: 1_000_000_081.0)
    assert client.get("/worklist/").status_code == 200


def test_an_address_where_nobody_is_signed_in_has_its_own_limit() -> None:
    inside, outside = signed_in("inside"), Client(REMOTE_ADDR="10.1.1.9")
    inside.defaults["REMOTE_ADDR"] = "10.1.1.9"
    assert [outside.get("/login/").status_code for _ in range(7)] == [200] * 5 + [429] * 2
    assert inside.get("/worklist/").status_code == 200, "a colleague behind the same address works on"
    assert Client(REMOTE_ADDR="10.1.1.10").get("/login/").status_code == 200
    assert Client(REMOTE_ADDR="10.1.1.9").get("/healthy/").status_code == 200


def test_signing_in_does_not_give_a_second_person_the_first_ones_count() -> None:
    first, second = signed_in("first"), make_user("clinician", make_site(), "second")
    for _ in range(12):
        first.get("/worklist/")
    other = Client(REMOTE_ADDR="10.1.1.11")
    assert other.post("/login/", {"username": second.username, "password": PASSWORD}).status_code == 302
    assert other.get("/worklist/").status_code == 200


def test_who_is_shut_out_costs_no_query(django_assert_num_queries: Any) -> None:
    client = signed_in("flood")
    for _ in range(12):
        client.get("/worklist/")
    with django_assert_num_queries(0):
        assert client.get("/worklist/").status_code == 429


def test_a_program_gets_it_as_json() -> None:
    user = make_user("clinician", make_site())
    secret = secret_of(user)
    answers = [ask(secret) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429] * 2
    assert "Too many requests" in answers[-1].json()["problem"] and answers[-1].headers["Retry-After"]


def test_the_first_one_too_many_is_one_line_on_the_log() -> None:
    client = signed_in("noted")
    for _ in range(20):
        client.get("/worklist/")
    assert Event.objects.filter(action="rate.limited", outcome="refused").count() == 1


def test_counting_goes_on_while_the_database_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in("offline")

    def refuse(*args: Any, **options: Any) -> None:
        raise DatabaseError("locked")

    monkeypatch.setattr(TryCount.objects, "get_or_create", refuse)
    assert [client.get("/worklist/").status_code for _ in range(12)] == [200] * 10 + [429] * 2


def test_what_is_counted_names_nobody() -> None:
    client = signed_in("unnamed")
    client.get("/worklist/")
    assert TryCount.objects.exists() and not any("unnamed" in row.key for row in TryCount.objects.all())
