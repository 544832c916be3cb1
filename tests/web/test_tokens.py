"""Tokens for programs: one purpose, one role, an end; what their person may not see they do not see either."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import ApiToken, RoleGrant, Site, User
from salus_web.accounts.services import invite, let_until
from salus_web.accounts.tokens import PURPOSES, end_token, make_token
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.common.errors import BadInput, Refused
from salus_web.registry.models import ModelBundle, TaskFile

from tests.factories.cohorts import make_project
from tests.factories.factors import enter, give_app
from tests.factories.hospital import Person, make_bundle, make_person, make_upload
from tests.factories.people import PASSWORD, SYSTEM, actor_of, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
ADDRESSES = {"care": "/api/worklist/", "research": "/api/projects/", "integration": "/api/uploads/"}


@pytest.fixture
def nurse(site: Site) -> User:
    return make_user("clinician", site)


@pytest.fixture
def person(site: Site, nurse: User) -> Person:
    found = make_person(site, "QMINE", make_bundle())
    relate(nurse, found.patient)
    make_person(site, "QOTHER", found.prediction.bundle)
    return found


def secret_of(user: User, purpose: str = "care", role: str = "clinician", **options: Any) -> str:
    return make_token(user=user, name="ward board", purpose=purpose, role=role, days=options.get("days", 90), by=actor_of(user))[1]


def ask(secret: str, address: str = "/api/worklist/", **headers: str) -> Any:
    return Client().get(address, headers={"authorization": f"Bearer {secret}"} | headers)


def test_a_program_gets_its_persons_work_list_and_no_other_patient(nurse: User, person: Person) -> None:
    answer = ask(secret_of(nurse))
    found = answer.json()
    assert answer.status_code == 200 and "no-store" in answer.headers["Cache-Control"]
    assert [row["patient_id"] for row in found["rows"]] == [str(person.patient.pk)]
    assert found["rows"][0]["record_number"] == "MRNQMINE" and b"QOTHER" not in answer.content
    assert found["rows"][0]["probability"] == person.prediction.probability


def test_only_a_computed_risk_has_a_number(nurse: User, person: Person) -> None:
    secret = secret_of(nurse)
    risk = type(person.prediction).objects.for_actor(SYSTEM).get(pk=person.prediction.pk)
    risk.currentrisk_set.model.objects.for_actor(SYSTEM).update(state="stale")  # type: ignore[attr-defined]
    row = ask(secret).json()["rows"][0]
    assert (row["state"], row["probability"], row["low"], row["high"]) == ("stale", None, None, None)


def test_a_task_that_is_asked_for_is_answered_or_nothing_is(nurse: User, person: Person) -> None:
    secret, bundle = secret_of(nurse), make_bundle()
    kept = {"digest": "e" * 64, "task_id": "sepsis", "title": "Sepsis", "loaded_by": "x", "loaded_at": clock.now()}
    ModelBundle.objects.filter(pk=bundle.pk).update(task=TaskFile.objects.create(**kept))
    mistyped = ask(secret, "/api/worklist/?task=deterioratoin")
    assert (mistyped.status_code, mistyped.json()) == (404, {"problem": "No model answers the task “deterioratoin”."})
    nobody = ask(secret, "/api/worklist/?task=sepsis").json()
    assert (nobody["task"], nobody["rows"]) == ("sepsis", []), "and no other model's numbers under it"
    assert not Event.objects.filter(action="worklist.read").exists(), "nobody was shown"
    asked = person.prediction.task_id
    assert [row["patient_id"] for row in ask(secret, f"/api/worklist/?task={asked}").json()["rows"]] == [str(person.patient.pk)]


def test_each_use_names_the_token_and_each_patient(nurse: User, person: Person) -> None:
    secret = secret_of(nurse)
    ask(secret)
    page, look = Event.objects.get(action="api.worklist.read"), Event.objects.get(action="worklist.read")
    token = ApiToken.objects.get()
    for line in (page, look):
        assert line.actor_id == str(nurse.pk) and "token “ward board”" in line.actor_name and line.session == f"token {token.pk}"
    assert (page.purpose, look.purpose, look.patient) == ("care", "care", person.patient.pseudonym)


def test_a_token_is_kept_as_a_hash_and_shown_once(nurse: User) -> None:
    client = enter(nurse, PASSWORD)
    page = client.post("/account/tokens/", {"name": "ward board", "purpose": "care", "role": "clinician", "days": "30"})
    secret = page.context["secret"]
    assert secret.encode() in page.content and len(secret) > 45
    assert secret not in str(list(ApiToken.objects.values())) + str(list(Event.objects.values()))
    listed = client.get("/account/")
    assert b"ward board" in listed.content and secret.encode() not in listed.content
    assert ask(secret).status_code == 200
    client.post(f"/account/tokens/{ApiToken.objects.get().pk}/end/")
    assert ask(secret).status_code == 401
    assert list(Event.objects.filter(action__startswith="token.").order_by("number").values_list("action", flat=True)) == ["token.make", "token.end"]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_token_for_one_purpose_opens_no_address_of_another(site: Site, purpose: str) -> None:
    user = make_user("clinician", site)
    RoleGrant.objects.create(user=user, site=site, role="researcher", starts_at=clock.now() - timedelta(days=1), granted_by="x")
    make_project(site, members=[user])
    make_upload(site)
    secret = secret_of(user, purpose, "researcher" if purpose == "research" else "clinician")
    got = {other: ask(secret, address).status_code for other, address in ADDRESSES.items()}
    assert got == {other: 200 if other == purpose else 403 for other in ADDRESSES}
    assert Event.objects.filter(action__startswith="api.", outcome="refused").count() == 2


def test_a_token_holds_one_role_of_its_person(site: Site, person: Person) -> None:
    """A person with two roles makes a token in one; it does nothing of the other."""
    user = make_user("clinician", site)
    RoleGrant.objects.create(user=user, site=site, role="researcher", starts_at=clock.now() - timedelta(days=1), granted_by="x")
    with pytest.raises(BadInput, match="researcher cannot be for care"):
        secret_of(user, "care", "researcher")
    secret = secret_of(user, "care")
    RoleGrant.objects.filter(user=user, role="clinician").update(ends_at=clock.now())
    answer = ask(secret)
    assert answer.status_code == 403 and "role" in answer.json()["problem"]


def test_when_its_role_ends_another_role_of_the_person_does_not_stand_in(site: Site) -> None:
    user = make_user("clinician", site)
    RoleGrant.objects.create(user=user, site=site, role="administrator", starts_at=clock.now() - timedelta(days=1), granted_by="x")
    secret = secret_of(user, "integration")
    assert ask(secret, "/api/uploads/").status_code == 200
    RoleGrant.objects.filter(user=user, role="clinician").update(ends_at=clock.now())
    assert ask(secret, "/api/uploads/").status_code == 403


@pytest.mark.parametrize("how", ["role ended", "person ended", "person closed", "token ended", "token over"])
def test_it_ends_with_what_it_stands_on(nurse: User, person: Person, how: str) -> None:
    secret, token = secret_of(nurse), ApiToken.objects.get()
    assert ask(secret).status_code == 200
    if how == "role ended":
        RoleGrant.objects.update(ends_at=clock.now())
    elif how == "person ended":
        let_until(user=nurse, expires_at=clock.now(), by=SYSTEM)
    elif how == "person closed":
        User.objects.filter(pk=nurse.pk).update(is_active=False)
    elif how == "token ended":
        end_token(token=token, by=actor_of(nurse))
    else:
        ApiToken.objects.update(expires_at=clock.now())
    answer = ask(secret)
    assert answer.status_code == (403 if how == "role ended" else 401) and b"QMINE" not in answer.content


@pytest.mark.parametrize("how", ["changed", "by a link"])
def test_a_new_password_ends_every_token(nurse: User, person: Person, how: str) -> None:
    make_token(user=nurse, name="second board", purpose="care", role="clinician", days=9, by=actor_of(nurse))
    secret, others = secret_of(nurse), secret_of(make_user("clinician", person.patient.site))
    form = {"password": "a quite different one", "again": "a quite different one"}
    here = enter(nurse, PASSWORD)
    if how == "changed":
        assert "Tokens for programs end" in text_of(here.get("/account/password/"))
        assert "tokens for programs have ended" in text_of(here.post("/account/password/", form, follow=True))
    else:
        link = f"/invitation/{invite(user=nurse, by=SYSTEM)[1]}/"
        assert "Tokens for programs end" in text_of(Client().get(link))
        assert Client().post(link, form).status_code == 302
    assert ask(secret).status_code == 401 and ask(others).status_code == 200
    ended = ApiToken.objects.filter(user=nurse, ended_at__isnull=False)
    lines = Event.objects.filter(action="token.end").values_list("object_id", "actor_id", "detail__name")
    assert {(str(row.pk), str(nurse.pk), row.name) for row in ended} == set(lines) and len(lines) == 2
    assert "tokens" not in text_of(enter(nurse, form["password"]).get("/account/password/")), "there are none any more"


def test_somebody_whose_role_ended_still_ends_their_tokens_with_their_password(nurse: User, site: Site) -> None:
    secret = secret_of(nurse)
    RoleGrant.objects.create(user=nurse, site=site, role="auditor", starts_at=clock.now(), granted_by="system:test")
    RoleGrant.objects.filter(role="clinician").update(ends_at=clock.now())
    form = {"password": "a quite different one", "again": "a quite different one"}
    assert enter(nurse, PASSWORD).post("/account/password/", form).status_code == 302
    assert ask(secret).status_code == 401


def test_without_a_relation_the_list_is_empty(nurse: User, person: Person) -> None:
    stranger = make_user("clinician", person.patient.site)
    assert ask(secret_of(stranger)).json()["rows"] == []


def test_what_is_no_good_token_is_answered_alike(nurse: User) -> None:
    secret = secret_of(nurse)
    wrong = [secret[:-1] + ("a" if secret[-1] != "a" else "b"), "", "salus_", "x" * 5000, "salus_" + "é" * 20, secret.upper()]
    pages = {Client().get("/api/worklist/", headers={"authorization": f"Bearer {one}"}).content for one in wrong}
    assert len(pages) == 1 and Client().get("/api/worklist/").status_code == 401
    assert Client().get("/api/worklist/", headers={"authorization": f"Basic {secret}"}).status_code == 401


def test_a_session_opens_no_address_for_programs_and_a_token_no_page(nurse: User, person: Person, settings: Any) -> None:
    settings.SALUS_MFA = "required"
    give_app(nurse)
    client = enter(nurse, PASSWORD)
    assert client.get("/worklist/").status_code == 200 and client.get("/api/worklist/").status_code == 401
    assert ask(secret_of(nurse)).status_code == 200, "a program has no telephone; its token was made behind one"
    assert ask(secret_of(nurse), "/worklist/").headers["Location"].startswith("/login/")
    assert ask(secret_of(nurse), f"/patients/{person.patient.pk}/").status_code == 302


def test_nothing_is_changed_through_these_addresses(nurse: User) -> None:
    secret = secret_of(nurse)
    for address in ADDRESSES.values():
        for method in ("post", "put", "patch", "delete"):
            answer = getattr(Client(enforce_csrf_checks=True), method)(address, headers={"authorization": f"Bearer {secret}"})
            assert (answer.status_code, answer.json()["problem"]) == (405, "Nothing is written through this address.")
    absent = ask(secret, "/api/patients/")
    assert (absent.status_code, absent.json()["problem"]) == (404, "There is nothing at this address.")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": " "}, "Give the token a name"), ({"purpose": "all"}, "what the token is for"), ({"days": 0}, "from 1 to 365"),
        ({"days": 366}, "from 1 to 365"), ({"role": "administrator"}, "one of your roles"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_a_sentence(nurse: User, changes: dict[str, Any], words: str) -> None:
    wish: dict[str, Any] = {"name": "x", "purpose": "care", "role": "clinician", "days": 9} | changes
    with pytest.raises(BadInput, match=words):
        make_token(user=nurse, by=actor_of(nurse), **wish)
    assert not ApiToken.objects.exists()


def test_nobody_makes_a_token_in_anothers_name_and_an_administrator_ends_any(site: Site, nurse: User) -> None:
    alma, other = make_user("administrator", site), make_user("clinician", site)
    with pytest.raises(BadInput, match="the person who answers for it"):
        make_token(user=nurse, name="x", purpose="care", role="clinician", days=9, by=actor_of(alma))
    secret, token = secret_of(nurse), ApiToken.objects.get()
    with pytest.raises(Refused):
        end_token(token=token, by=actor_of(other))
    desk = enter(alma, PASSWORD)
    assert b"ward board" in desk.get(f"/access/people/{nurse.pk}/").content
    assert desk.post(f"/access/people/{nurse.pk}/tokens/{token.pk}/end/").status_code == 302
    assert ask(secret).status_code == 401
