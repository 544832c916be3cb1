"""The second factor at every address: a person without one gets the way in, the way out and the page to set one up, and
not one byte more. A new address is walked here by itself."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.demand import EXEMPT, SETTING_UP
from salus_web.audit.models import Event

from tests.factories.factors import code_now, give_app
from tests.factories.people import PASSWORD
from tests.house.test_every_url import METHODS, ROLES, TABLE, Place, declaration, patterns, place  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
SET_UP, SHOW = "/account/second-factor/", "/again/code/"


@pytest.fixture(autouse=True)
def demanded(settings: Any) -> None:
    """As in production; the other tests run as the demonstration does."""
    settings.SALUS_MFA = "required"


@pytest.mark.parametrize("role", ROLES[1:])
def test_without_a_factor_no_address_answers_but_those_named(place: Place, role: str) -> None:  # noqa: F811
    walked, before = 0, Event.objects.count()
    for pattern in patterns():
        if pattern.name in EXEMPT | SETTING_UP:
            continue
        for method in METHODS:
            answer = place.ask(role, method, pattern, "own")
            where = f"{method} {pattern.name} as {role} without a factor"
            if declaration(pattern).by_token:  # no session opens these at all
                assert answer.status_code in {401, 405}, where
                continue
            assert (answer.status_code, answer.headers.get("Location")) == (302, SET_UP), where
            walked += 1
    assert walked > 250
    assert Event.objects.count() == before, "a view ran"


@pytest.mark.parametrize("role", ROLES[1:])
def test_with_a_factor_that_was_not_shown_not_even_another_can_be_set_up(place: Place, role: str) -> None:  # noqa: F811
    """A stolen password must not be enough to add a thief's own telephone."""
    give_app(place.users[role])
    for pattern in patterns():
        if pattern.name in EXEMPT or declaration(pattern).by_token:
            continue
        answer = place.ask(role, "get", pattern, "own")
        assert (answer.status_code, answer.headers.get("Location")) == (302, SHOW), pattern.name


def test_the_named_addresses_exist_and_show_nobody() -> None:
    names = {pattern.name or "": pattern for pattern in patterns()}
    assert set(names) >= EXEMPT | SETTING_UP
    for name in EXEMPT | SETTING_UP:
        assert not names[name].callback.declaration.shows_patient, name  # type: ignore[attr-defined]
    assert not EXEMPT & {name for name, (_, got, _, _) in TABLE.items() if name in {"home", "worklist", "access"} and got}


def test_a_fragment_of_a_page_sends_the_whole_page_there(place: Place) -> None:  # noqa: F811
    answer = place.client("clinician").get("/worklist/?since=x", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, SET_UP)


def test_setting_one_up_opens_the_house(place: Place) -> None:  # noqa: F811
    user, client = place.users["clinician"], Client()
    client.post("/login/", {"username": user.username, "password": PASSWORD})
    assert client.get("/worklist/").headers["Location"] == SET_UP
    assert client.get(SET_UP).status_code == 200
    secret = client.get("/account/app/").context["form"].secret
    client.post("/account/app/", {"code": code_now(secret)})
    assert client.get("/account/codes/").status_code == 200
    assert client.get("/worklist/").status_code == 200
    row = user.authenticator_set.get(type="totp")  # type: ignore[attr-defined]
    answer = client.post("/account/app/remove/")
    assert answer.status_code == 409 and b"your only second factor" in answer.content and user.authenticator_set.filter(pk=row.pk).exists()  # type: ignore[attr-defined]


def test_the_demonstration_asks_for_none(place: Place, settings: Any) -> None:  # noqa: F811
    settings.SALUS_MFA = "demo"
    assert place.client("clinician").get("/worklist/").status_code == 200
