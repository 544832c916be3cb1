"""The door: password, second factor, passkey, recovery code; what is refused, and what stands on the log afterwards."""

from __future__ import annotations

from base64 import b85decode

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.test import Client
from salus_web.accounts.lockout import spend_once
from salus_web.accounts.models import SignIn, User
from salus_web.audit.models import Event
from salus_web.common.encryption import key_name
from salus_web.common.errors import LogNotWritten

from tests.factories.factors import SECRET, SoftKey, code_now, data_of, enter, give_app, wrong_code
from tests.factories.people import PASSWORD, make_site, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def nurse() -> User:
    return make_user("clinician", make_site())


def password_in(user: User, client: Client | None = None) -> Client:
    client = client or Client()
    client.post("/login/", {"username": user.username, "password": PASSWORD, "next": "/patients/"})
    return client


def is_in(client: Client) -> bool:
    return client.get("/worklist/").status_code == 200


def acts(user: User) -> list[str]:
    return list(Event.objects.filter(object_id=str(user.pk)).exclude(action="account.read").order_by("number").values_list("action", flat=True))


def test_with_an_app_the_password_alone_opens_nothing(nurse: User) -> None:
    give_app(nurse)
    client = password_in(nurse)
    assert not is_in(client) and not SignIn.objects.exists()
    answer = client.post("/login/code/", {"code": code_now()})
    assert answer.headers["Location"] == "/patients/" and is_in(client)
    assert Event.objects.get(action="session.start").detail == {"by": ["password", "mfa"]}


def test_a_wrong_code_is_refused_in_words_and_logged(nurse: User) -> None:
    give_app(nurse)
    client = password_in(nurse)
    answer = client.post("/login/code/", {"code": wrong_code()})
    assert answer.status_code == 401 and b"This code was not right" in answer.content and not is_in(client)
    assert acts(nurse) == ["factor.refused"]


def test_a_code_is_good_once(nurse: User) -> None:
    give_app(nurse)
    code = code_now()
    first, second = password_in(nurse), password_in(nurse)
    assert first.post("/login/code/", {"code": code}).status_code == 302 and is_in(first)
    cache.clear()  # another web process, with a memory of its own
    assert second.post("/login/code/", {"code": code}).status_code == 401 and not is_in(second)


def test_the_code_that_set_up_an_app_signs_nobody_in(nurse: User) -> None:
    client, elsewhere = password_in(nurse), Client()
    secret = client.get("/account/app/").context["form"].secret
    code = code_now(secret)
    assert client.post("/account/app/", {"code": code}).headers["Location"] == "/account/codes/"
    password_in(nurse, elsewhere)
    assert elsewhere.post("/login/code/", {"code": code}).status_code == 401 and not is_in(elsewhere)
    assert elsewhere.post("/login/code/", {"code": code_now(secret, steps=1)}).status_code == 302 and is_in(elsewhere)


def test_an_app_is_not_set_up_with_a_code_that_was_used(nurse: User) -> None:
    client = password_in(nurse)
    secret = client.get("/account/app/").context["form"].secret
    assert spend_once(nurse.pk, code_now(secret))
    answer = client.post("/account/app/", {"code": code_now(secret)})
    assert answer.status_code == 200 and not Authenticator.objects.exists() and "factor.add" not in acts(nurse)


def test_the_secret_of_an_app_stands_nowhere_in_the_database(nurse: User) -> None:
    give_app(nurse)
    held = str(Authenticator.objects.get().data)
    assert SECRET not in held
    assert key_name(b85decode(Authenticator.objects.get().data["secret"])).owned, "a key that a change of master keys carries along"
    assert Authenticator.objects.get().wrap().validate_code(code_now())


def test_a_secret_that_cannot_be_read_is_a_wrong_code_and_stands_on_the_log(nurse: User) -> None:
    give_app(nurse)
    Authenticator.objects.update(data={"secret": "0" * 200})
    client = password_in(nurse)
    assert client.post("/login/code/", {"code": "123456"}).status_code == 401
    assert "factor.unreadable" in acts(nurse)


def test_setting_up_an_app_gives_recovery_codes_once_and_each_opens_once(nurse: User) -> None:
    client = password_in(nurse)
    page = client.get("/account/app/")
    secret = page.context["form"].secret
    assert b"data:image/svg+xml" in page.content and secret.encode() in page.content
    assert client.post("/account/app/", {"code": code_now(secret)}).headers["Location"] == "/account/codes/"
    shown = client.get("/account/codes/").context["unused_codes"]
    again = client.get("/account/codes/").content.decode()
    assert len(shown) == 10 and not any(code in again for code in shown), "codes are shown once"
    assert acts(nurse) == ["session.start", "factor.add", "factor.codes.read"]
    other = password_in(nurse)
    assert other.post("/login/code/", {"code": shown[0]}).status_code == 302 and is_in(other)
    third = password_in(nurse)
    assert third.post("/login/code/", {"code": shown[0]}).status_code == 401 and not is_in(third)


def test_a_key_is_set_up_shown_and_removed(nurse: User) -> None:
    client, key = password_in(nurse, Client(headers={"x-forwarded-proto": "https"})), SoftKey()
    form = {"name": "Blue key", "credential": key.created(data_of(client.get("/account/keys/").content))}
    assert client.post("/account/keys/", form).headers["Location"] == "/account/codes/"
    other = password_in(nurse)
    challenge = data_of(other.get("/login/code/").content)
    forged = other.post("/login/code/", {"credential": key.shown(challenge, by=SoftKey())})
    assert forged.status_code == 401 and not is_in(other)
    challenge = data_of(other.get("/login/code/").content)
    assert other.post("/login/code/", {"credential": key.shown(challenge)}).status_code == 302 and is_in(other)
    row = Authenticator.objects.get(type="webauthn")
    assert b"Blue key" in other.get("/account/").content
    assert other.post(f"/account/keys/{row.pk}/remove/").status_code == 302
    assert not Authenticator.objects.exists(), "recovery codes without a factor are gone as well"
    assert acts(nurse)[-1] == "factor.remove"


def test_a_passkey_opens_without_name_and_password(nurse: User) -> None:
    client, key = password_in(nurse), SoftKey()
    form = {"name": "Finger", "passwordless": "on", "credential": key.created(data_of(client.get("/account/keys/").content))}
    assert client.post("/account/keys/", form).status_code == 302
    other = Client()
    options = other.get("/login/passkey/", headers={"accept": "application/json"}).json()
    assert other.post("/login/passkey/", {"credential": key.shown(options)}).status_code == 302 and is_in(other)
    stranger = Client()
    options = stranger.get("/login/passkey/", headers={"accept": "application/json"}).json()
    assert stranger.post("/login/passkey/", {"credential": key.shown(options, by=SoftKey())}).status_code == 401
    assert not is_in(stranger) and Event.objects.filter(action="session.refused").count() == 1


def test_a_passkey_of_somebody_who_was_sent_away_opens_nothing(nurse: User) -> None:
    client, key = password_in(nurse), SoftKey()
    client.post("/account/keys/", {"name": "x", "credential": key.created(data_of(client.get("/account/keys/").content))})
    User.objects.filter(pk=nurse.pk).update(is_active=False)
    other = Client()
    options = other.get("/login/passkey/", headers={"accept": "application/json"}).json()
    answer = other.post("/login/passkey/", {"credential": key.shown(options)})
    assert answer.status_code == 401 and not is_in(other)


def test_nobody_makes_themselves(nurse: User) -> None:
    for address in ("/signup/", "/accounts/signup/", "/login/signup/", "/account/signup/"):
        assert Client().get(address).status_code == 404


def test_a_sign_in_that_cannot_be_logged_opens_nothing(nurse: User, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()

    def refuse(*args: object, **options: object) -> None:
        raise LogNotWritten("The log is full.")

    monkeypatch.setattr("salus_web.accounts.adapters.record", refuse)
    assert client.post("/login/", {"username": nurse.username, "password": PASSWORD}).status_code == 503
    monkeypatch.undo()
    assert not is_in(client) and not SignIn.objects.exists()


def test_a_second_person_at_the_same_browser_ends_the_first_session(nurse: User) -> None:
    other = make_user("clinician", make_site())
    client = password_in(nurse)
    password_in(other, client)
    assert is_in(client) and client.get("/account/").context["frame"]["person"] == other.display_name
    assert SignIn.objects.get(user=nurse).ended_why == "person"


def test_a_new_password_ends_the_other_sessions(nurse: User) -> None:
    here, there = enter(nurse, PASSWORD), enter(nurse, PASSWORD)
    wrong = here.post("/account/password/", {"password": "short", "again": "short"})
    assert wrong.status_code == 409 and b"at least 12" in wrong.content
    form = {"password": "a quite different one", "again": "a quite different one"}
    assert here.post("/account/password/", form).headers["Location"] == "/account/"
    assert is_in(here) and not is_in(there)
    assert not is_in(enter(nurse, PASSWORD)) and is_in(enter(nurse, "a quite different one"))
    assert "password.change" in acts(nurse)
