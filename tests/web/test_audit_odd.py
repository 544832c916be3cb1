"""Odd accesses: the rules over plain looks, and the same on the page with what the database knows."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.audit import services
from salus_web.audit.models import Event, WatchedRecord
from salus_web.audit.odd import (
    MANY_PATIENTS,
    NIGHT_PATIENTS,
    TRIES,
    Look,
    Mark,
    colleague,
    own_record,
    rank,
    under_watch,
)
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.errors import Refused
from salus_web.config.zone import zone_named
from salus_web.dashboard.pages import odd_looks as gathering
from salus_web.dashboard.pages.odd_looks import KEPT_FOR, odd_looks, odd_page
from salus_web.records.models import CareRelation, CareTeamMembership, PatientNameToken

from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, make_patient, make_site, make_user, relate
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


def test_night_is_night_where_the_hospital_lies() -> None:
    """Noon in London is one in the morning in Auckland, and its night is another's day."""
    auckland, noon = zone_named("Pacific/Auckland"), looks(NIGHT_PATIENTS, every=timedelta(minutes=5))
    rows = rank(noon, has_relation=lambda look: True, shares_surname=lambda look: False, zone=auckland)
    assert [row.reason for row in rows] == [
        "10 different patients within an hour at night (04 Mar 2026 12:00 UTC; night is 22 to 6 in Pacific/Auckland)"
    ]
    night = looks(NIGHT_PATIENTS, every=timedelta(minutes=5), start=NOON.replace(hour=23))
    assert rank(night, has_relation=lambda look: True, shares_surname=lambda look: False, zone=auckland) == []
    for wrong in ("Mars/Phobos", "../etc/passwd", "CEST5"):
        with pytest.raises(ImproperlyConfigured, match="is no time zone"):
            zone_named(wrong)


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
    page = html.unescape(desk.get("/audit/odd/").content.decode())
    assert row.reason[1:] in page and "Dr Namesake" in page and "sake Namesake" not in page


def test_the_rules_ask_the_same_number_of_questions_however_many_looks(
    site: Site, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    auditor, user = actor_of(make_user("auditor", site)), make_user("clinician", site)
    for count in (1, 12):
        for _ in range(count):
            patient = make_patient(site)
            PatientNameToken.objects.create(patient=patient, token="x")
            look(user, patient, now(), monkeypatch)
        with django_assert_num_queries(7):
            odd_looks(viewer=auditor)


# --- who the patient is


def marked(*reasons: Mark) -> list[tuple[int, str]]:
    """One ordinary look at a patient of whom something is known."""
    rows = rank(looks(1, every=timedelta(0)), has_relation=lambda look: True, shares_surname=lambda look: False, marks=lambda look: reasons)
    return [(row.weight, row.reason) for row in rows]


def test_each_mark_has_its_own_reason_and_together_they_weigh_more() -> None:
    assert marked() == []
    assert marked(own_record()) == [(75, "the patient has this person's own full name")]
    assert marked(colleague("Dr Mira Holt")) == [(65, "the patient has the full name of a colleague, Dr Mira Holt")]
    assert marked(under_watch("known to the public")) == [(72, "the record is under special watch: known to the public")]
    ((weight, reason),) = marked(colleague("Dr Mira Holt"), under_watch("known to the public"))
    assert weight == 82 and reason.count(", and ") == 1
    strange = rank(looks(1, every=timedelta(0)), has_relation=lambda look: False, shares_surname=lambda look: True, marks=lambda look: [own_record(), under_watch("x")])
    assert [row.weight for row in strange] == [99], "four reasons weigh as much as anything can"


def tries(count: int, *, every: timedelta, mark: Mark | None = None) -> list[tuple[int, str]]:
    given = [replace(look, refused=True, object_id=f"o{look.number}") for look in looks(count, every=every)]
    marks = [mark] if mark else []
    rows = rank(given, has_relation=lambda look: False, shares_surname=lambda look: False, marks=lambda look: marks)
    return [(row.weight, row.reason) for row in rows]


def test_refused_tries_are_odd_when_they_are_many_or_at_somebody_in_particular() -> None:
    assert tries(2, every=timedelta(hours=1)) == [], "anybody mistypes an address"
    ((_, reason),) = tries(TRIES, every=timedelta(hours=1))
    assert reason.startswith(f"{TRIES} refused tries at different things within a day")
    assert tries(TRIES, every=timedelta(hours=13)) == []
    ((weight, reason),) = tries(1, every=timedelta(0), mark=under_watch("known to the public"))
    assert (weight, reason) == (82, "tried to open the record and was refused, and the record is under special watch: known to the public")


@pytest.fixture
def desk(site: Site) -> Client:
    client = Client()
    client.force_login(make_user("auditor", site))
    return client


def bearer_of(site: Site, name: str, token: str) -> Any:
    """A patient of this name, whose words can be found by their tokens."""
    person = make_person(site, token, make_bundle("candidate"))
    PatientNameToken.objects.for_actor(SYSTEM).filter(patient=person.patient).delete()
    for word in name.split():
        PatientNameToken.objects.create(patient=person.patient, token=blind_index(word, purpose="name"))
    return person.patient


def named(site: Site, username: str, name: str) -> User:
    user = make_user("clinician", site, username)
    User.objects.filter(pk=user.pk).update(display_name=name)
    return user


def test_a_colleague_and_ones_own_record_are_known_by_their_names_tokens(site: Site) -> None:
    auditor, mira, simon = actor_of(make_user("auditor", site)), named(site, "mira", "Dr Mira Holt"), named(site, "simon", "Simon Reyes")
    patient, stranger = bearer_of(site, "Mira Anna Holt", "Qmira"), bearer_of(site, "Mira Lind", "Qlind")
    for user in (mira, simon):
        for one in (patient, stranger):
            relate(user, one)
            client = Client()
            client.force_login(user)
            assert client.get(f"/patients/{one.pk}/").status_code == 200
    found = {(row.actor_name, row.patient): row.reason for row in odd_looks(viewer=auditor)}
    assert found == {
        ("Dr Mira Holt", patient.pseudonym): "a word of the patient's name is this person's surname, and the patient has this person's own full name",
        ("Simon Reyes", patient.pseudonym): "the patient has the full name of a colleague, Dr Mira Holt",
    }, "a first name alone is nobody's"


def test_a_record_under_watch_shows_each_look_and_each_try(site: Site, desk: Client) -> None:
    person = make_person(site, "Qvip", make_bundle())
    carer, stranger = named(site, "carer", "Carla Care"), named(site, "stranger", "Stan Strange")
    relate(carer, person.patient)
    for user in (carer, stranger):
        client = Client()
        client.force_login(user)
        client.get(f"/predictions/{person.prediction.pk}/")
    assert "Nothing odd was found" in text_of(desk.get("/audit/odd/"))
    said = text_of(desk.post("/audit/watched/", {"mrn": "MRNQvip", "why": "public"}, follow=True))
    assert "The record is under special watch: known to the public" in said and "Carla Care" in said
    assert "Tried to open the record and was refused, and the record is under special watch: known to the public" in said and "Stan Strange" in said
    assert "••••Qvip"[:4] in said and "MRNQvip" not in said
    line = Event.objects.get(action="watch.start")
    assert (line.patient, line.detail) == (person.patient.pseudonym, {"why": "public"})
    desk.post("/audit/watched/", {"end": person.patient.pseudonym})
    assert "Nothing odd was found" in text_of(desk.get("/audit/odd/")) and Event.objects.filter(action="watch.end").count() == 1


@pytest.mark.parametrize(("form", "words"), [
    ({"mrn": "nobody", "why": "public"}, "Nobody at your hospitals has this record number"),
    ({"mrn": " ", "why": "public"}, "Give the record number"),
    ({"mrn": "MRNQvip", "why": "because"}, "Choose why this record is watched"),
])  # fmt: skip
def test_a_wrong_form_watches_nobody(site: Site, desk: Client, form: dict[str, str], words: str) -> None:
    make_person(site, "Qvip", make_bundle())
    answer = desk.post("/audit/watched/", form)
    assert answer.status_code == 409 and words in text_of(answer) and not WatchedRecord.objects.exists()


def test_what_another_hospital_watches_is_neither_shown_nor_ended(site: Site, desk: Client) -> None:
    person = make_person(make_site(), "Qfar", make_bundle())
    services.watch_record(pseudonym=person.patient.pseudonym, why="public", by=SYSTEM)
    assert person.patient.pseudonym[:8] not in desk.get("/audit/odd/").content.decode()
    assert desk.post("/audit/watched/", {"end": person.patient.pseudonym}).status_code == 404
    assert desk.post("/audit/watched/", {"mrn": "MRNQfar", "why": "public"}).status_code == 409
    assert WatchedRecord.objects.count() == 1


def test_a_clinician_does_not_learn_that_a_record_is_watched(site: Site, desk: Client) -> None:
    person, carer = make_person(site, "Qvip", make_bundle()), make_user("clinician", site)
    relate(carer, person.patient)
    client = Client()
    client.force_login(carer)
    pages = [f"/patients/{person.patient.pk}/", "/worklist/", f"/predictions/{person.prediction.pk}/", f"/patients/{person.patient.pk}/looked/"]
    services.record(Act("access.look", "patient", "", person.patient.pseudonym), by=actor_of(make_user("auditor", site)))
    for page in pages:
        client.get(page)
    before = [re.findall(r"seen by \d+", text_of(client.get(page))) for page in pages]
    services.watch_record(pseudonym=person.patient.pseudonym, why="public", by=actor_of(make_user("auditor", site)))
    said = [text_of(client.get(page)) for page in pages]
    assert [re.findall(r"seen by \d+", words) for words in said] == before and any(before)
    assert not any("watch" in words.lower().replace("waiting", "") for words in said), "nor is it among those who looked"
    assert client.get("/audit/odd/").status_code == 403 and client.post("/audit/watched/", {"end": "x"}).status_code == 403


def test_a_list_of_names_is_no_look_at_each_of_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    user, auditor = make_user("clinician", site), actor_of(make_user("auditor", site))
    acts = [Act("worklist.read", "patient", str(number), f"{number:032x}", "care") for number in range(MANY_PATIENTS + 5)]
    services.record_many(acts, by=actor_of(user))
    assert odd_looks(viewer=auditor) == [], "opening the work list twice is no burst"
    services.record_many([replace(act, action="patient.read") for act in acts], by=actor_of(user))
    assert any("within ten minutes" in row.reason for row in odd_looks(viewer=auditor))


def test_no_look_is_odd_where_there_is_none(desk: Client) -> None:
    assert "Nothing odd was found" in text_of(desk.get("/audit/odd/"))


def test_many_looks_are_gone_through_once_a_minute_and_few_each_time(
    site: Site, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    auditor, user, moment = actor_of(make_user("auditor", site)), make_user("clinician", site), now()
    clinician = actor_of(user)
    monkeypatch.setattr(gathering, "_kept", {})
    monkeypatch.setattr(gathering, "MANY_LOOKS", 2)
    look(user, make_patient(site), moment, monkeypatch)
    assert odd_page(viewer=auditor).looks == 1
    look(user, make_patient(site), moment, monkeypatch)
    found = odd_page(viewer=auditor)
    assert found.looks == 2, "one look was not many"
    look(user, make_patient(site), moment, monkeypatch)
    with django_assert_num_queries(1):  # what is watched
        assert odd_page(viewer=auditor) is found
        with pytest.raises(Refused):
            odd_page(viewer=clinician)
    for away in (KEPT_FOR, -KEPT_FOR):  # also when the clock was set back
        monkeypatch.setattr(gathering, "now", lambda away=away: found.at + away)
        assert odd_page(viewer=auditor).looks == 3
    monkeypatch.setattr(gathering, "now", lambda: found.at)
    patient = make_patient(site)
    WatchedRecord.objects.create(pseudonym=patient.pseudonym, why="staff", since=moment, by_name="x")
    assert odd_page(viewer=auditor).looks == 3 and odd_page(viewer=auditor) is not found, "a new watch shows at once"
