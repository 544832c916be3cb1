"""The hospital's directory: it lets in people who are in Salus already; every false word of it lets in nobody."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from salus_web.accounts.models import User
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.config.sign_in import directory, directory_from

from tests.factories.directory import CLIENT, OTHER_KEY, SECRET, DirectoryServer, directory_server
from tests.factories.factors import code_now, give_app
from tests.factories.people import PASSWORD, make_site, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[DirectoryServer]:
    with directory_server() as found:
        for name, value in directory(found.address, client_id=CLIENT, secret=SECRET, name="St Anne's").items():
            setattr(settings, name, value)
        yield found


@pytest.fixture
def nurse() -> User:
    return make_user("clinician", make_site(), "m.holt")


def come(server: DirectoryServer, claims: dict[str, Any], client: Client | None = None) -> tuple[Client, Any]:
    """Out to the directory and back."""
    client = client or Client()
    out = client.get("/login/directory/?next=/patients/")
    return client, client.get(server.came(out.headers["Location"], claims))


def is_in(client: Client) -> bool:
    return client.get("/worklist/").status_code == 200


def test_a_person_whom_the_directory_knows_comes_in(server: DirectoryServer, nurse: User) -> None:
    assert b"Sign in with St Anne&#x27;s" in Client().get("/login/").content
    client, answer = come(server, {"sub": "77", "preferred_username": "m.holt", "email": "q@example.org", "name": "Qname"})
    assert answer.headers["Location"] == "/patients/" and is_in(client)
    kept = SocialAccount.objects.get()
    assert (kept.user, kept.uid, kept.extra_data) == (nurse, "77", {}) and not SocialToken.objects.exists()
    assert list(Event.objects.filter(action__in=["directory.link", "session.start"]).order_by("number").values_list("action", flat=True)) == [
        "directory.link", "session.start",
    ]  # fmt: skip
    assert Event.objects.get(action="session.start").detail == {"by": ["socialaccount"]}


def test_from_then_on_the_directorys_own_id_counts_not_the_name(server: DirectoryServer, nurse: User) -> None:
    come(server, {"sub": "77", "preferred_username": "m.holt"})
    client, _ = come(server, {"sub": "77", "preferred_username": "m.holt-married"})
    assert is_in(client)
    other, answer = come(server, {"sub": "78", "preferred_username": "m.holt"})
    assert answer.status_code == 403 and not is_in(other), "a name that was given anew is another person"


def test_the_directory_makes_nobody(server: DirectoryServer, nurse: User) -> None:
    people = User.objects.count()
    client, answer = come(server, {"sub": "1", "preferred_username": "somebody.else"})
    assert answer.status_code == 403 and b"Ask your administrator for an invitation" in answer.content and not is_in(client)
    assert User.objects.count() == people and not SocialAccount.objects.exists()
    assert Event.objects.get(action="session.refused").detail == {"by": ["directory"], "why": "nobody of this name"}


@pytest.mark.parametrize("name", ["M.HOLT", "", None, 7, ["m.holt"], {"a": 1}, "m.holt\x00"])
def test_only_the_very_name_is_the_person(server: DirectoryServer, nurse: User, name: Any) -> None:
    client, answer = come(server, {"sub": "1", "preferred_username": name})
    assert answer.status_code in {401, 403} and not is_in(client)


@pytest.mark.parametrize(
    ("faults", "claims"),
    [
        ({"key": OTHER_KEY}, {}), ({"alg": "HS256", "key": "x" * 64}, {}), ({"alg": "none", "key": None}, {}), ({"mute": True}, {}),
        ({}, {"iss": "https://elsewhere.example"}), ({}, {"aud": "another program"}), ({}, {"exp": int(time.time()) - 60}),
        ({}, {"sub": None}), ({}, {"sub": "x" * 5000}), ({}, {"sub": "a\x00b"}),
    ],
)  # fmt: skip
def test_a_false_word_lets_in_nobody(server: DirectoryServer, nurse: User, faults: dict[str, Any], claims: dict[str, Any]) -> None:
    server.faults = faults
    client, answer = come(server, {"sub": "77", "preferred_username": "m.holt"} | claims)
    assert answer.status_code == 401 and b"did not answer as it should" in answer.content and not is_in(client)
    assert not SocialAccount.objects.exists() and Event.objects.get(action="session.refused").outcome == "refused"


def test_a_directory_that_is_down_is_a_sentence(server: DirectoryServer, nurse: User) -> None:
    server.faults = {"down": True}
    answer = Client().get("/login/directory/")
    assert answer.status_code == 401 and b"use your password" in answer.content
    assert Client().post("/login/", {"username": "m.holt", "password": PASSWORD}).status_code == 302


def test_an_answer_nobody_asked_for_is_refused(server: DirectoryServer, nurse: User) -> None:
    """Without the state of this very browser: a link sent by somebody else signs in nobody."""
    thief = Client()
    back = server.came(thief.get("/login/directory/").headers["Location"], {"sub": "77", "preferred_username": "m.holt"})
    victim = Client()
    assert victim.get(back).status_code == 401 and not is_in(victim)
    for wrong in ("?code=x&state=y", "?error=access_denied", "?error=server_error", ""):
        assert Client().get(f"/login/directory/back/{wrong}").status_code == 401


def test_a_code_works_once(server: DirectoryServer, nurse: User) -> None:
    client = Client()
    back = server.came(client.get("/login/directory/").headers["Location"], {"sub": "77", "preferred_username": "m.holt"})
    assert client.get(back).status_code == 302
    assert Client().get(back).status_code == 401


def test_it_never_leads_elsewhere(server: DirectoryServer, nurse: User) -> None:
    client = Client()
    out = client.get("/login/directory/?next=https://elsewhere.example/&process=connect")
    answer = client.get(server.came(out.headers["Location"], {"sub": "77", "preferred_username": "m.holt"}))
    assert answer.headers["Location"] == "/"


def test_whoever_has_ended_does_not_come_in_by_the_directory(server: DirectoryServer, nurse: User) -> None:
    come(server, {"sub": "77", "preferred_username": "m.holt"})
    User.objects.update(expires_at=clock.now())
    client, answer = come(server, {"sub": "77", "preferred_username": "m.holt"})
    assert answer.status_code == 401 and not is_in(client)


def test_ones_own_second_factor_is_asked_after_the_directory_too(server: DirectoryServer, nurse: User) -> None:
    give_app(nurse)
    client, answer = come(server, {"sub": "77", "preferred_username": "m.holt", "amr": ["pwd", "mfa"]})
    assert answer.headers["Location"] == "/login/code/" and not is_in(client)
    assert client.post("/login/code/", {"code": code_now()}).headers["Location"] == "/patients/" and is_in(client)


@pytest.mark.parametrize(
    ("trusts", "ways", "opens"), [(True, ["pwd", "mfa"], True), (True, ["pwd"], False), (True, "mfa", False), (False, ["mfa"], False)]
)
def test_a_second_step_at_the_directory_counts_only_where_it_is_trusted(
    server: DirectoryServer, nurse: User, settings: Any, trusts: bool, ways: Any, opens: bool
) -> None:
    settings.SALUS_MFA, settings.SALUS_OIDC_TRUSTS_FACTOR = "required", trusts
    client, _ = come(server, {"sub": "77", "preferred_username": "m.holt", "amr": ways})
    assert is_in(client) is opens
    if not opens:
        assert client.get("/worklist/").headers["Location"] == "/account/second-factor/"


def test_for_a_step_up_the_directory_is_asked_anew(server: DirectoryServer, settings: Any) -> None:
    alma = make_user("administrator", make_site(), "alma")
    alma.set_unusable_password()
    alma.save()
    old = int((clock.now() - timedelta(hours=2)).timestamp())
    client, _ = come(server, {"sub": "9", "preferred_username": "alma", "auth_time": old})
    away = client.post(f"/access/people/{alma.pk}/until/", {})
    assert away.headers["Location"].startswith("/login/?next="), "a sign-in of two hours ago is not fresh"
    again = client.get("/login/directory/?next=/access/").headers["Location"]
    assert "prompt=login" in again
    client.get(server.came(again, {"sub": "9", "preferred_username": "alma"}))
    assert client.post("/access/people/", {}).status_code == 409, "asked for the form now, not for who one is"


def test_a_directory_that_does_not_say_when_is_never_fresh(server: DirectoryServer) -> None:
    alma = make_user("administrator", make_site(), "alma")
    client, _ = come(server, {"sub": "9", "preferred_username": "alma", "auth_time": None})
    assert client.get("/access/").status_code == 200
    assert client.post(f"/access/people/{alma.pk}/until/", {}).headers["Location"].startswith("/again/")


def test_without_a_directory_its_addresses_are_none() -> None:
    for address in ("/login/directory/", "/login/directory/back/?code=x&state=y"):
        assert Client().get(address).status_code == 404
    assert b"Sign in with" not in Client().get("/login/").content


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"SALUS_OIDC_URL": "http://directory"}, "https://"),
        ({"SALUS_OIDC_URL": "https://d"}, "SALUS_OIDC_CLIENT_ID is not"),
        ({"SALUS_OIDC_URL": "https://d", "SALUS_OIDC_CLIENT_ID": "x"}, "SALUS_OIDC_CLIENT_SECRET is not"),
    ],
)
def test_a_directory_half_described_stops_the_start(environment: dict[str, str], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        directory_from(environment)
    assert directory_from({}) == {"SALUS_OIDC_NAME": "", "SOCIALACCOUNT_PROVIDERS": {}}
