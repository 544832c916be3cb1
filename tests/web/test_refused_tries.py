"""A refused try is on the log: who, at what, whose it is; and the answer tells nobody that anything is there."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.accounts.tokens import make_token
from salus_web.audit.models import Event
from salus_web.audit.selectors import people_who_looked
from salus_web.common.clock import now

from tests.factories.hospital import Person, make_bundle, make_job, make_person
from tests.factories.people import actor_of, client_of, make_user, relate
from tests.house.test_every_url import plain
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
ABSENT = uuid.UUID(int=7)
# address of something of a patient, its method, and what the line says was tried; {} is filled with the id of what is tried
TRIES = {
    "patient": ("get", "/patients/{patient}/", "patient.read", "patient"),
    "who looked": ("get", "/patients/{patient}/looked/", "who_looked.read", "patient"),
    "ask": ("post", "/patients/{patient}/ask/", "patient.read", "patient"),
    "waiting": ("get", "/patients/{patient}/waiting/{job}/", "patient.read", "patient"),
    "waiting, a fragment": ("get", "/patients/{patient}/waiting/{job}/?fragment", "patient.read", "patient"),
    "film": ("get", "/images/{image}/display.png", "image.read", "image"),
    "thumbnail": ("get", "/images/{image}/thumbnail.png", "image.read", "image"),
    "risk with its maps": ("get", "/predictions/{prediction}/", "prediction.read", "prediction"),
    "judgement": ("post", "/predictions/{prediction}/review/", "prediction.read", "prediction"),
    "replay": ("post", "/predictions/{prediction}/replay/", "replay.read", "prediction"),
    "replayed": ("get", "/predictions/{prediction}/replay/{replay}/", "replay.read", "prediction"),
    "receipt": ("get", "/predictions/{prediction}/receipt.json", "receipt.read", "prediction"),
}


@pytest.fixture
def person(site: Site) -> Person:
    return make_person(site, "Qtry", make_bundle())


@pytest.fixture
def stranger(site: Site) -> User:
    return make_user("clinician", site, "simon stranger")


def ids_of(person: Person) -> dict[str, Any]:
    return {
        "patient": person.patient.pk, "image": person.instance.pk, "prediction": person.prediction.pk,
        "job": make_job("predict", "queued", patient_ids=[str(person.patient.pk)]).pk,
        "replay": make_job("replay", prediction_id=str(person.prediction.pk)).pk,
    }  # fmt: skip


@pytest.mark.parametrize("what", TRIES)
def test_a_try_is_a_line_and_its_answer_is_that_of_an_absent_id(person: Person, stranger: User, what: str) -> None:
    method, address, action, kind = TRIES[what]
    ids, theirs = ids_of(person), client_of(stranger)
    before = set(Event.objects.values_list("number", flat=True))
    form = {"task": "t48", "decision": "accept", "reason": "agree"}
    hidden = getattr(theirs, method)(address.format(**ids), form if method == "post" else None)
    (line,) = Event.objects.exclude(number__in=before)
    said = (line.action, line.outcome, line.object_kind, line.object_id, line.patient, line.purpose, line.actor_id)
    assert said == (action, "refused", kind, str(ids[kind]), person.patient.pseudonym, "care", str(stranger.pk))
    absent = getattr(theirs, method)(address.format(**dict.fromkeys(ids, ABSENT)), form if method == "post" else None)
    assert plain(hidden) == plain(absent) and hidden.status_code == 404
    assert hidden.headers.items() == absent.headers.items()
    (line,) = Event.objects.exclude(number__in=[*before, line.number])
    assert (line.outcome, line.patient) == ("refused", ""), "a try at what is not there is a line too"


def test_an_auditor_finds_the_try_by_patient_and_outcome(site: Site, person: Person, stranger: User) -> None:
    client_of(stranger).get(f"/predictions/{person.prediction.pk}/receipt.json")
    desk = client_of(make_user("auditor", site))
    said = text_of(desk.post("/audit/", {"mrn": "MRNQtry", "outcome": "refused"}, follow=True))
    assert "Simon Stranger" in said and "receipt.read" in said and "✕ refused" in said
    said = text_of(desk.post("/audit/looked/", {"mrn": "MRNQtry"}, follow=True))
    assert "tried, and was refused: opened the receipt of a risk" in said


def test_who_was_refused_saw_nothing_and_is_not_counted(site: Site, person: Person, stranger: User) -> None:
    friend = make_user("clinician", site)
    relate(friend, person.patient)
    client_of(friend).get(f"/patients/{person.patient.pk}/")
    client_of(stranger).get(f"/patients/{person.patient.pk}/")
    assert people_who_looked(pseudonym=person.patient.pseudonym, since=now().replace(hour=0, minute=0)) == 1


@pytest.mark.parametrize(
    ("role", "method", "address"),
    [
        ("auditor", "get", "/worklist/"), ("researcher", "get", "/audit/"), ("clinician", "post", "/audit/export/"),
        ("administrator", "post", "/audit/export/"), ("auditor", "post", f"/jobs/{ABSENT}/retry/"),
        ("administrator", "post", f"/access/relations/{ABSENT}/end/"), ("administrator", "post", f"/access/roles/{ABSENT}/end/"),
        ("auditor", "get", f"/audit/looked/{'0' * 32}/"), ("researcher", "get", f"/cohorts/projects/{ABSENT}/"),
    ],
)  # fmt: skip
def test_a_page_of_another_role_or_an_id_out_of_reach_is_a_line(site: Site, role: str, method: str, address: str) -> None:
    user = make_user(role, site)
    assert getattr(client_of(user), method)(address).status_code in {403, 404}
    lines = Event.objects.filter(outcome="refused", actor_id=str(user.pk))
    assert [(line.object_kind, line.object_id) for line in lines] == [("page", address)]


def test_nobody_in_particular_leaves_no_line(person: Person) -> None:
    assert Client().get(f"/predictions/{person.prediction.pk}/").status_code == 302
    assert not Event.objects.exists()


def test_a_token_of_a_role_that_is_over_leaves_a_line(site: Site) -> None:
    user = make_user("clinician", site)
    _, secret = make_token(user=user, name="Board", purpose="care", role="clinician", days=9, by=actor_of(user))
    user.grants.update(role="auditor")
    answer = Client().get("/api/worklist/", headers={"authorization": f"Bearer {secret}"})
    assert answer.status_code == 403
    line = Event.objects.latest("number")
    assert (line.outcome, line.object_id, line.actor_id) == ("refused", "/api/worklist/", str(user.pk))


def test_while_the_log_cannot_be_written_a_try_answers_like_any_other(
    person: Person, stranger: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = client_of(stranger)

    def refuse(rows: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr("salus_web.audit.services.append", refuse)
    answers = [theirs.get(f"/predictions/{which}/") for which in (person.prediction.pk, ABSENT)]
    assert plain(answers[0]) == plain(answers[1]) and answers[0].status_code == 503
    assert theirs.get("/audit/").status_code == 503, "a refusal that leaves no line is no refusal"
