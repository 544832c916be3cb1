"""Who one is, shown once more: before data leaves, before access changes; what was shown holds for ten minutes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import get_resolver
from salus_web.accounts.models import RoleGrant, User
from salus_web.audit.models import Event
from salus_web.common import clock

from tests.factories.factors import code_now, enter, give_app, wrong_code
from tests.factories.people import PASSWORD, make_site, make_user
from tests.house.test_every_url import patterns

pytestmark = pytest.mark.django_db
GUARDED = {
    "add-person", "add-role", "end-role", "add-member", "end-member", "add-relation", "end-relation", "audit-export", "looks-paper",
    "decide-release", "release-file", "account_change_password", "emergency",
}  # fmt: skip


@pytest.fixture
def administrator() -> User:
    return make_user("administrator", make_site())


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """The clock of everything that asks how long ago somebody showed who they are."""
    moment = clock.now() + by
    monkeypatch.setattr("salus_web.accounts.proofs.now", lambda: moment)


def give_role(client: Client, administrator: User) -> Any:
    """A role for a colleague, at the hospital of the administrator who is signed in there."""
    site = RoleGrant.objects.get(user=administrator).site_id
    colleague, _ = User.objects.get_or_create(username="colleague", defaults={"display_name": "Colleague"})
    referer = {"referer": "http://testserver/access/"}
    return client.post(f"/access/people/{colleague.pk}/roles/", {"role": "auditor", "site": site}, headers=referer)


def test_every_address_that_lets_out_or_changes_access_asks_again() -> None:
    assert get_resolver()
    found = {pattern.name for pattern in patterns() if pattern.callback.declaration.step_up}  # type: ignore[attr-defined]
    assert found >= GUARDED
    posts = {pattern.name for pattern in patterns() if pattern.callback.declaration.action == "access.manage"}  # type: ignore[attr-defined]
    assert posts <= found, "an address that changes access does not ask again"


def test_within_ten_minutes_nothing_is_asked(administrator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(administrator, PASSWORD)
    later(monkeypatch, timedelta(minutes=9, seconds=58))
    assert give_role(client, administrator).headers["Location"] == "/access/"


def test_after_ten_minutes_nothing_is_done_until_it_is_shown_again(administrator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(administrator, PASSWORD)
    later(monkeypatch, timedelta(minutes=10, seconds=1))
    answer = give_role(client, administrator)
    assert answer.headers["Location"] == "/again/?next=%2Faccess%2F" and RoleGrant.objects.count() == 1
    assert b"Nothing was done yet" in client.get(answer.headers["Location"]).content
    assert client.get("/access/").status_code == 200, "reading needs no second showing"
    wrong = client.post("/again/", {"password": "not the password", "next": "/access/"})
    assert wrong.status_code == 401 and give_role(client, administrator).headers["Location"].startswith("/again/")
    monkeypatch.undo()
    right = client.post("/again/", {"password": PASSWORD, "next": "/access/"})
    assert right.headers["Location"] == "/access/"
    assert give_role(client, administrator).headers["Location"] == "/access/" and RoleGrant.objects.count() == 2
    tries = Event.objects.filter(action="session.again").order_by("number").values_list("outcome", flat=True)
    assert list(tries) == ["refused", "done"]


def test_a_session_that_never_showed_anything_is_not_fresh(administrator: User) -> None:
    client = enter(administrator, PASSWORD)
    session = client.session
    del session["account_authentication_methods"]
    session.save()
    assert give_role(client, administrator).headers["Location"].startswith("/again/")


def test_with_a_second_factor_the_password_alone_is_not_enough(administrator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    give_app(administrator)
    client = enter(administrator, PASSWORD)
    later(monkeypatch, timedelta(minutes=11))
    assert give_role(client, administrator).headers["Location"].startswith("/again/code/?next=")
    assert client.post("/again/", {"password": PASSWORD, "next": "/access/"}).headers["Location"].startswith("/again/code/")
    assert client.post("/again/code/", {"code": wrong_code(), "next": "/access/"}).status_code == 401
    monkeypatch.undo()
    assert client.post("/again/code/", {"code": code_now(steps=1), "next": "/access/"}).headers["Location"] == "/access/"
    assert give_role(client, administrator).headers["Location"] == "/access/"


def test_a_password_shown_just_now_does_not_stand_for_the_factor(administrator: User) -> None:
    give_app(administrator)
    client = enter(administrator, PASSWORD)
    session = client.session
    for row in session["account_authentication_methods"]:
        row["at"] -= 3600 if row["method"] == "mfa" else 0
    session.save()
    assert give_role(client, administrator).headers["Location"].startswith("/again/code/")


def test_showing_it_again_never_leads_elsewhere(administrator: User) -> None:
    client = enter(administrator, PASSWORD)
    answer = client.post("/again/", {"password": PASSWORD, "next": "https://elsewhere.example/"})
    assert "elsewhere" not in answer.headers["Location"]


def test_a_fragment_is_told_where_to_go(administrator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = enter(administrator, PASSWORD)
    later(monkeypatch, timedelta(minutes=11))
    answer = client.post("/access/members/", {}, headers={"hx-request": "true"})
    assert answer.status_code == 401 and answer.headers["HX-Redirect"].startswith("/again/")
