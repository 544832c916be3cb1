"""Every address × every role × {own, unrelated, other hospital, absent} × every method. A new address without a
declaration, or one that this walk does not know, fails."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from salus_web.accounts.access import Declaration
from salus_web.accounts.permissions import RULES
from salus_web.audit.models import Event

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import make_site, make_user, relate

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
ROLES = ("anonymous", "clinician", "administrator", "auditor", "researcher")
TOKENS = {"own": "QOWNTOKEN", "unrelated": "QUNRELATED", "other": "QOTHERSITE"}
METHODS = ("get", "post", "put", "patch", "delete")
# what a session-changing address does is not walked with every role: it would sign the walker out
NOT_WALKED = {"logout"}


@dataclass
class Place:
    """The hospital of the walk."""

    people: dict[str, Person]
    clients: dict[str, Client]
    user_ids: dict[str, str]


def patterns(resolver: URLResolver | None = None) -> Iterator[URLPattern]:
    """Every leaf of Django's resolver."""
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            yield from patterns(entry)
        else:
            yield entry


def declaration(pattern: URLPattern) -> Declaration:
    found = getattr(pattern.callback, "declaration", None)
    assert isinstance(found, Declaration), f"{pattern.name} does not declare who may use it and how it is logged"
    return found


@pytest.fixture
def place() -> Place:
    here, there, bundle = make_site(), make_site(), make_bundle()
    people = {
        "own": make_person(here, TOKENS["own"], bundle),
        "unrelated": make_person(here, TOKENS["unrelated"], bundle),
        "other": make_person(there, TOKENS["other"], bundle),
    }
    clients, user_ids = {"anonymous": Client()}, {"anonymous": ""}
    for role in ROLES[1:]:
        user, client = make_user(role, here), Client()
        client.force_login(user)
        clients[role], user_ids[role] = client, str(user.pk)
        if role == "clinician":
            relate(user, people["own"].patient)
    return Place(people, clients, user_ids)


def address(pattern: URLPattern, person: Person | None) -> str:
    """The address about one person, or about nobody that exists."""
    absent = uuid.UUID(int=7)
    known: dict[str, Any] = {} if person is None else {
        "patient_id": person.patient.pk, "prediction_id": person.prediction.pk, "instance_id": person.instance.pk,
        "job_id": person.job.pk, "bundle_id": person.prediction.bundle_id,
    }  # fmt: skip
    names = pattern.pattern.converters
    return reverse(pattern.name, kwargs={name: known.get(name, absent) for name in names})


def plain(body: bytes) -> bytes:
    """Bytes without what differs by request: form tokens, and the address itself."""
    body = re.sub(rb'name="csrfmiddlewaretoken" value="[^"]+"', b"", body)
    return re.sub(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", b"", body)


def about_a_patient(pattern: URLPattern) -> bool:
    return bool({"patient_id", "prediction_id", "instance_id"} & set(pattern.pattern.converters))


def walked() -> list[URLPattern]:
    return [pattern for pattern in patterns() if pattern.name not in NOT_WALKED]


def test_every_address_declares_itself() -> None:
    found = list(patterns())
    assert len(found) > 35
    for pattern in found:
        said = declaration(pattern)
        assert said.action is None or said.action in RULES
        if about_a_patient(pattern):
            assert said.shows_patient and said.action in {"patient.read", "prediction.request", "prediction.review"}


def test_nobody_gets_what_is_not_theirs(place: Place) -> None:
    for pattern in walked():
        action = declaration(pattern).action
        for role in ROLES:
            may = action is None or (role != "anonymous" and role in RULES[action])
            for whose in ("own", "unrelated", "other", None):
                for method in METHODS:
                    person = place.people.get(whose) if whose else None
                    answer = getattr(place.clients[role], method)(address(pattern, person))
                    where = f"{method} {pattern.name} as {role} about {whose}: {answer.status_code}"
                    assert answer.status_code < 500, where
                    if not may:
                        assert answer.status_code in {302, 403}, where
                    if about_a_patient(pattern) and whose != "own":
                        assert answer.status_code in {302, 403, 404, 405}, where
                    if answer.status_code == 302 and role == "anonymous" and action:
                        assert answer.headers["Location"].startswith("/login/"), where
                    assert_no_token(answer, role, where)


def assert_no_token(answer: Any, role: str, where: str) -> None:
    """No planted word of somebody else's patient, nor of any patient for those who see none."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    hidden = ["unrelated", "other"] if role == "clinician" else ["own", "unrelated", "other"]
    for whose in hidden:
        assert TOKENS[whose].encode() not in body, f"{where}: shows the {whose} patient"
        assert TOKENS[whose] not in str(answer.headers), where
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"], where


def test_unrelated_equals_absent(place: Place) -> None:
    for pattern in (entry for entry in walked() if about_a_patient(entry)):
        for method in ("get", "post"):
            client = place.clients["clinician"]
            absent = getattr(client, method)(address(pattern, None))
            for whose in ("unrelated", "other"):
                answer = getattr(client, method)(address(pattern, place.people[whose]))
                assert answer.status_code == absent.status_code, f"{method} {pattern.name}"
                assert plain(answer.content) == plain(absent.content), f"{method} {pattern.name} tells {whose} from absent"


def test_every_look_is_on_the_log(place: Place) -> None:
    own, client = place.people["own"], place.clients["clinician"]
    looked = 0
    for pattern in (entry for entry in walked() if declaration(entry).shows_patient):
        before = Event.objects.count()
        answer = client.get(address(pattern, own))
        if answer.status_code != 200 or b"QOWN" not in answer.content and "png" not in answer.headers["Content-Type"]:
            continue
        looked += 1
        fresh = Event.objects.filter(number__gt=before, patient=own.patient.pseudonym, actor_id=place.user_ids["clinician"])
        assert fresh.exists(), f"{pattern.name} showed a patient and nothing was written"
        assert "no-store" in answer.headers["Cache-Control"]
    assert looked >= 7


def test_a_refused_look_is_on_the_log_too(place: Place) -> None:
    unrelated = place.people["unrelated"].patient
    assert place.clients["clinician"].get(f"/patients/{unrelated.pk}/").status_code == 404
    line = Event.objects.filter(object_id=str(unrelated.pk)).latest("number")
    assert (line.outcome, line.action, line.actor_id) == ("refused", "patient.read", place.user_ids["clinician"])
