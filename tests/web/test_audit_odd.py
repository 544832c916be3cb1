"""Odd accesses: the rules over plain looks, and the same on the page with what the database knows."""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.audit import services
from salus_web.audit.models import Event
from salus_web.audit.odd import MANY_PATIENTS, NIGHT_PATIENTS, Look, rank
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.dashboard.pages.odd_looks import odd_looks
from salus_web.records.models import CareRelation, CareTeamMembership, PatientNameToken

from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import actor_of, make_patient, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def looks(count: int, *, every: timedelta, start: datetime = NOON, who: str = "a") -> list[Look]:
    """One person at one patient after another."""
    return [Look(number, start + number * every, who, who.title(), f"p{number}") for number in range(count)]


def found(given: list[Look], *, related: bool = True, namesake: str = "") -> list[tuple[str, str, tuple[int, ...]]]:
    rows = rank(given, has_relation=lambda look: related, shares_surname=lambda look: look.patient == namesake)
    return [(row.reason, row.patient, row.evidence) for row in rows]


def test_ordinary_looks_are_not_odd() -> None:
    assert found(looks(40, every=timedelta(minutes=2))) == []
    assert found(looks(NIGHT_PATIENTS - 1, every=timedelta(minutes=1), start=NOON.replace(hour=2))) == []
    assert found([look for look in looks(1, every=timedelta(0)) for _ in range(200)]) == [], "one patient many times"


def test_no_relation_and_the_same_surname_weigh_most_together() -> None:
    given = looks(3, every=timedelta(hours=1))
    rows = found(given, related=False, namesake="p2")
    assert [row[1] for row in rows] == ["p2", "p1", "p0"]
    assert "no care relation was live at the time, and a word of the patient's name" in rows[0][0]
    assert rows[1][0] == "no care relation was live at the time" and rows[1][2] == (1,)
    assert found(given, namesake="p1") == [("a word of the patient's name is this person's surname", "p1", (1,))]


def test_many_patients_in_a_short_time_are_named_with_their_lines() -> None:
    ((reason, patient, evidence),) = found(looks(MANY_PATIENTS, every=timedelta(seconds=15)))
    assert reason.startswith(f"{MANY_PATIENTS} different patients within ten minutes") and patient == ""
    assert evidence == tuple(range(20))
    assert found(looks(MANY_PATIENTS, every=timedelta(seconds=25))) == []


def test_a_burst_at_night_is_one_only_at_night() -> None:
    given = looks(NIGHT_PATIENTS, every=timedelta(minutes=5), start=NOON.replace(hour=23))
    ((reason, *_),) = found(given)
    assert f"{NIGHT_PATIENTS} different patients within an hour at night" in reason
    assert found(looks(NIGHT_PATIENTS, every=timedelta(minutes=5))) == []


# --- with the database


def look(user: User, patient: Any, at: datetime, monkeypatch: pytest.MonkeyPatch) -> Event:
    monkeypatch.setattr(services, "now", lambda: at)
    event = record(Act("patient.read", "patient", str(patient.pk), patient.pseudonym, "care"), by=actor_of(user))
    monkeypatch.setattr(services, "now", now)
    return event


@pytest.fixture
def site(db: None) -> Site:
    return make_site()


def test_a_relation_counts_as_it_was_at_the_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user, auditor = make_user("clinician", site, "dr holt"), actor_of(make_user("auditor", site))
    patient = make_patient(site)
    relation = relate(user, patient)
    look(user, patient, now() - timedelta(minutes=30), monkeypatch)
    assert odd_looks(viewer=auditor) == []
    ended = now() - timedelta(minutes=20)
    CareRelation.objects.filter(pk=relation.pk).update(ends_at=ended)
    assert odd_looks(viewer=auditor) == [], "it was live when they looked"
    late = look(user, patient, now() - timedelta(minutes=10), monkeypatch)
    assert [(row.reason, row.evidence) for row in odd_looks(viewer=auditor)] == [("no care relation was live at the time", (late.number,))]
    CareRelation.objects.filter(pk=relation.pk).update(ends_at=None)
    assert odd_looks(viewer=auditor) == []
    CareTeamMembership.objects.filter(user=user).update(ends_at=ended)
    assert [row.evidence for row in odd_looks(viewer=auditor)] == [(late.number,)]


def test_a_shared_surname_is_found_by_token(site: Site) -> None:
    user, auditor = make_user("clinician", site, "dr namesake"), make_user("auditor", site)
    person, other = make_person(site, "sake", make_bundle()), make_person(site, "Qelse", make_bundle("candidate"))
    for one in (person, other):
        relate(user, one.patient)
    client = Client()
    client.force_login(user)
    for one in (person, other):
        assert client.get(f"/patients/{one.patient.pk}/").status_code == 200
    (row,) = odd_looks(viewer=actor_of(auditor))
    assert row.patient == person.patient.pseudonym and row.reason == "a word of the patient's name is this person's surname"
    desk = Client()
    desk.force_login(auditor)
    page = html.unescape(desk.get("/audit/").content.decode())
    assert row.reason in page and "Dr Namesake" in page and "sake Namesake" not in page


def test_the_rules_ask_the_same_number_of_questions_however_many_looks(
    site: Site, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    auditor, user = actor_of(make_user("auditor", site)), make_user("clinician", site)
    for count in (1, 12):
        for _ in range(count):
            patient = make_patient(site)
            PatientNameToken.objects.create(patient=patient, token="x")
            look(user, patient, now(), monkeypatch)
        with django_assert_num_queries(5):
            odd_looks(viewer=auditor)


def test_what_cannot_be_computed_is_not_offered(site: Site) -> None:
    desk = Client()
    desk.force_login(make_user("auditor", site))
    said = text_of(desk.get("/audit/")).lower()
    assert "vip" not in said and "own record" not in said and "nothing odd was found" in said
