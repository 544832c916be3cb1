"""Asking for access and deciding on it: who may, what a question tells, what a grant opens, and that it ends by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.access.models import AccessRequest
from salus_web.accounts import proofs
from salus_web.accounts.models import RoleGrant, User
from salus_web.audit.models import Event
from salus_web.common import clock
from salus_web.records.models import CareRelation, CareTeamMembership

from tests.factories.cohorts import make_project
from tests.factories.emergencies import asked_for
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import client_of, make_site, make_user, relate
from tests.house.test_every_url import plain
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
WHY = "asked by the ward for an opinion"
ANSWER = {"decision": "grant", "answer": "agreed with the lead of the ward"}


class Office:
    """An administrator's desk, a clinician, a researcher, a patient in the care of ward 3B, and a project."""

    def __init__(self) -> None:
        self.site, bundle = make_site(), make_bundle()
        self.user, self.researcher = make_user("clinician", self.site, "asker"), make_user("researcher", self.site, "seeker")
        self.administrator = make_user("administrator", self.site, "alma")
        self.person = make_person(self.site, "QPERSON", bundle)
        relate(make_user("clinician", self.site), self.person.patient, team_name="Ward 3B")
        self.project = make_project(self.site, members=[make_user("researcher", self.site), make_user("researcher", self.site)])
        self.client, self.desk = client_of(self.user), client_of(self.administrator)
        self.page = f"/patients/{self.person.patient.pk}/"

    def ask(self, client: Client | None = None, **changes: str) -> Any:
        form = {
            "site": str(self.site.pk), "scope": "patient", "wanted": "MRNQPERSON", "purpose": "consult", "reason": WHY,
            "ends": day(3),
        }  # fmt: skip
        return (client or self.client).post("/requests/", form | changes)

    def decide(self, row: AccessRequest, client: Client | None = None, **changes: str) -> Any:
        return (client or self.desk).post(f"/access/requests/{row.pk}/decide/", ANSWER | changes)

    def why(self, user: User) -> str:
        """What the page says of this person and the patient."""
        return text_of(self.desk.post("/access/", {"site": str(self.site.pk), "mrn": "MRNQPERSON", "person": str(user.pk)}))


def day(ahead: int) -> str:
    return (clock.now() + timedelta(days=ahead)).date().isoformat()


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock of everything that asks whether an access is over."""

    def set_to(moment: datetime) -> None:
        for place in ("records.scopes", "records.selectors", "cohorts.selectors", "access.listing", "access.requests", "dashboard.views.requests"):
            monkeypatch.setattr(f"salus_web.{place}.now", lambda: moment)

    return set_to


def acts() -> list[tuple[str, str, str]]:
    rows = Event.objects.filter(action__in=["access.ask", "access.grant", "access.refuse", "access.withdraw"], outcome="done").order_by("number")
    return list(rows.values_list("action", "purpose", "patient"))


# refused


def test_a_request_sent_twice_is_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two clicks ask once; another reason, or the same a while later, is another request."""
    assert [office.ask().status_code, office.ask().status_code] == [302, 302]
    assert AccessRequest.objects.count() == 1 and Event.objects.filter(action="access.ask").count() == 1
    office.ask(reason="asked by the ward once more")
    assert AccessRequest.objects.count() == 2
    later = clock.now() + timedelta(seconds=11)
    monkeypatch.setattr("salus_web.access.requests.now", lambda: later)
    office.ask()
    assert AccessRequest.objects.count() == 3


@pytest.mark.parametrize("role", ["administrator", "auditor"])
def test_who_sees_no_patients_cannot_ask_for_one(office: Office, role: str) -> None:
    client = client_of(make_user(role, office.site))
    assert client.get("/requests/").status_code == office.ask(client).status_code == 403
    assert not AccessRequest.objects.exists()


WRONG = [
    {"site": "7"}, {"scope": ""}, {"scope": "project", "purpose": "research"}, {"scope": "everything"}, {"wanted": " "}, {"wanted": "x" * 201},
    {"purpose": ""}, {"purpose": "research"}, {"reason": "short"}, {"ends": ""}, {"ends": day(-1)}, {"ends": day(400)}, {"ends": "soon"},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_form_is_said_in_a_sentence_and_asks_nothing(office: Office, wrong: dict[str, str]) -> None:
    answer = office.ask(**wrong)
    assert answer.status_code == 409 and 'class="bad" role="alert"' in answer.content.decode() and not AccessRequest.objects.exists()


def test_a_researcher_asks_for_no_patient(office: Office) -> None:
    assert office.ask(client_of(office.researcher)).status_code == 409 and not AccessRequest.objects.exists()


def test_asking_says_nothing_of_who_exists(office: Office) -> None:
    """Three numbers, of a patient here, of one elsewhere and of nobody: the same answer and the same page afterwards."""
    make_person(make_site(), "QABROAD", office.person.prediction.bundle)
    said = set()
    for number in ("MRNQPERSON", "MRNQABROAD", "MRNNOBODY0"):
        point = office.ask(wanted=number)
        page = plain(office.client.get("/requests/"))[1].replace(number.encode(), b"NUMBER")
        said.add((point.status_code, point.headers["Location"], re.sub(rb"[0-9a-f-]{36}|\d\d:\d\d", b"", page)))
        AccessRequest.objects.all().delete()
    assert len(said) == 1
    assert "MRNQ" not in str(list(Event.objects.values())) and WHY not in str(list(Event.objects.values()))


def test_what_was_asked_for_is_sealed_and_a_number_goes_with_the_decision(office: Office) -> None:
    office.ask()
    row = AccessRequest.objects.get()
    assert (row.wanted, row.reason) == ("MRNQPERSON", WHY)
    assert b"QPERSON" not in bytes(row.wanted_sealed) and b"ward" not in bytes(row.reason_sealed)
    office.decide(row)
    row.refresh_from_db()
    assert (row.wanted, row.answer, row.state) == ("", ANSWER["answer"], "granted")


@pytest.mark.parametrize("role", ["clinician", "auditor", "researcher"])
def test_only_an_administrator_decides(office: Office, role: str) -> None:
    row = asked_for(office.user, office.site, "MRNQPERSON")
    assert office.decide(row, client_of(make_user(role, office.site))).status_code == 403
    row.refresh_from_db()
    assert row.state == "open"


def test_nobody_decides_on_their_own(office: Office) -> None:
    RoleGrant.objects.create(user=office.administrator, site=office.site, role="clinician", starts_at=clock.now(), granted_by="x")
    row = asked_for(office.administrator, office.site, "MRNQPERSON")
    answer = office.decide(row)
    assert answer.status_code == 409 and "your own request" in text_of(answer) and not CareRelation.objects.filter(user=office.administrator).exists()
    assert "Your own: another administrator decides" in text_of(office.desk.get("/access/"))


def test_another_hospitals_request_answers_like_one_that_is_not_there(office: Office) -> None:
    there = make_site()
    row = asked_for(make_user("clinician", there), there, "QABROADNUMBER")
    absent = office.desk.post("/access/requests/00000000-0000-0000-0000-000000000007/decide/", ANSWER)
    assert plain(office.decide(row)) == plain(absent) and absent.status_code == 404
    assert "QABROADNUMBER" not in text_of(office.desk.get("/access/"))
    RoleGrant.objects.create(user=office.administrator, site=there, role="researcher", starts_at=clock.now(), granted_by="x")
    assert office.decide(row).status_code == 404, "a researcher there is no administrator there"


def test_the_decision_asks_again_who_one_is(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    row, moment = asked_for(office.user, office.site, "MRNQPERSON"), clock.now() + timedelta(minutes=11)
    monkeypatch.setattr(proofs, "now", lambda: moment)
    assert office.decide(row).headers["Location"].startswith("/again/")
    row.refresh_from_db()
    assert row.state == "open" and office.client.get(office.page).status_code == 404


@pytest.mark.parametrize("wrong", [{"decision": ""}, {"decision": "maybe"}, {"answer": ""}, {"answer": "ok"}])
def test_a_decision_needs_a_word_and_a_reason(office: Office, wrong: dict[str, str]) -> None:
    row = asked_for(office.user, office.site, "MRNQPERSON")
    assert office.decide(row, **wrong).status_code == 409
    row.refresh_from_db()
    assert (row.state, row.wanted) == ("open", "MRNQPERSON") and office.client.get(office.page).status_code == 404


@pytest.mark.parametrize(("scope", "wanted"), [("patient", "MRNNOBODY"), ("team", "Ward 9Z"), ("project", "No such project")])
def test_what_is_not_there_cannot_be_granted_and_stays_open(office: Office, scope: str, wanted: str) -> None:
    row = asked_for(office.researcher if scope == "project" else office.user, office.site, wanted, scope=scope)
    assert office.decide(row).status_code == 409
    row.refresh_from_db()
    assert (row.state, row.wanted) == ("open", wanted)
    assert office.decide(row, decision="refuse").status_code == 302


def test_a_patient_of_another_hospital_is_not_opened(office: Office) -> None:
    abroad = make_person(make_site(), "QABROAD", office.person.prediction.bundle)
    row = asked_for(office.user, office.site, "MRNQABROAD")
    assert office.decide(row).status_code == 409
    assert office.client.get(f"/patients/{abroad.patient.pk}/").status_code == 404


def test_who_lost_the_role_meanwhile_gets_nothing(office: Office) -> None:
    row = asked_for(office.user, office.site, "MRNQPERSON")
    RoleGrant.objects.filter(user=office.user).update(ends_at=clock.now())
    answer = office.decide(row)
    assert answer.status_code == 409 and "not a clinician at this hospital any more" in text_of(answer)
    assert not CareRelation.objects.filter(user=office.user).exists()


def test_only_ones_own_request_is_withdrawn_and_a_closed_one_by_nobody(office: Office) -> None:
    row = asked_for(office.user, office.site, "MRNQPERSON")
    other = client_of(make_user("clinician", office.site))
    absent = other.post("/requests/00000000-0000-0000-0000-000000000007/withdraw/")
    assert plain(other.post(f"/requests/{row.pk}/withdraw/")) == plain(absent) and absent.status_code == 404
    assert office.client.post(f"/requests/{row.pk}/withdraw/").status_code == 302
    assert office.client.post(f"/requests/{row.pk}/withdraw/").status_code == office.decide(row).status_code == 409
    assert [act for act, _, _ in acts()] == ["access.ask", "access.withdraw"] and "MRNQPERSON" not in text_of(office.client.get("/requests/"))


def test_a_request_whose_day_has_passed_cannot_be_granted_any_more(office: Office, at: Any) -> None:
    row = asked_for(office.user, office.site, "MRNQPERSON")
    at(row.ends_at)
    assert "over" in text_of(office.decide(row)) and "Nobody waits" in text_of(office.desk.get("/access/"))
    assert "never decided, over" in text_of(office.client.get("/requests/"))


def test_at_most_twenty_wait_at_once(office: Office) -> None:
    for number in range(20):
        asked_for(office.user, office.site, f"N{number}")
    assert "20 open requests" in text_of(office.ask())


# granted


def test_a_patient_is_opened_to_that_person_until_the_last_second_of_the_day(office: Office, at: Any) -> None:
    office.ask()
    row = AccessRequest.objects.get()
    waiting = text_of(office.desk.get("/access/"))
    assert "Asker" in waiting and "MRNQPERSON" in waiting and WHY in waiting and "QPERSON NameQPERSON" not in waiting
    assert office.client.get(office.page).status_code == 404
    assert office.decide(row).headers["Location"] == "/access/"
    assert office.client.get(office.page).status_code == 200 and client_of(make_user("clinician", office.site)).get(office.page).status_code == 404
    assert "access request: second opinion" in text_of(office.client.get(office.page))
    assert "• granted" in text_of(office.client.get("/requests/")) and ANSWER["answer"] in text_of(office.client.get("/requests/"))
    said = office.why(office.user)
    assert f"Asker may see this patient until {row.ends_at:%d %b %Y %H:%M}: access request (second opinion or consultation)" in said
    assert f"on a request that Alma granted on {clock.now():%d %b %Y}." in said
    assert acts() == [("access.ask", "care", ""), ("access.grant", "care", office.person.patient.pseudonym)]
    at(row.ends_at - timedelta(microseconds=1))
    assert office.client.get(office.page).status_code == 200
    at(row.ends_at)
    hidden, absent = office.client.get(office.page), office.client.get("/patients/00000000-0000-0000-0000-000000000007/")
    assert plain(hidden) == plain(absent) and "granted, over" in text_of(office.client.get("/requests/"))
    assert "may not see this patient" in office.why(office.user) and "Granted at present" not in text_of(office.desk.get("/access/"))


def test_a_care_team_is_opened_until_its_end(office: Office, at: Any) -> None:
    row = asked_for(office.user, office.site, "Ward 3B", scope="team")
    office.decide(row)
    assert office.client.get(office.page).status_code == 200
    assert f"until {row.ends_at:%d %b %Y %H:%M}: care team Ward 3B" in office.why(office.user), "not the end of the team's own relation"
    assert "on a request that Alma granted" in office.why(office.user)
    again = asked_for(office.user, office.site, "Ward 3B", scope="team")
    assert "in this care team already" in text_of(office.decide(again)) and CareTeamMembership.objects.filter(user=office.user).count() == 1
    at(row.ends_at)
    assert office.client.get(office.page).status_code == 404


def test_a_project_is_opened_until_its_end(office: Office, at: Any) -> None:
    client, page = client_of(office.researcher), f"/cohorts/projects/{office.project.pk}/"
    assert client.get(page).status_code == 404
    row = asked_for(office.researcher, office.site, office.project.name, scope="project")
    office.decide(row)
    assert client.get(page).status_code == 200 and office.project.name in text_of(client.get("/cohorts/"))
    assert client.get("/cohorts/").content.decode().count(f"<h2>{office.project.name}</h2>") == 1, "once, however many members"
    assert acts() == [("access.ask", "research", ""), ("access.grant", "research", "")]
    again = asked_for(office.researcher, office.site, office.project.name, scope="project")
    assert "in this project already" in text_of(office.decide(again))
    at(row.ends_at)
    assert client.get(page).status_code == 404 and office.project.name not in text_of(client.get("/cohorts/"))


def test_a_project_of_another_hospital_is_not_opened(office: Office) -> None:
    there = make_site()
    project = make_project(there, members=[make_user("researcher", there)])
    assert office.decide(asked_for(office.researcher, office.site, project.name, scope="project")).status_code == 409


def test_a_refusal_opens_nothing_and_is_read_by_who_asked(office: Office) -> None:
    office.decide(asked_for(office.user, office.site, "MRNQPERSON"), decision="refuse", answer="ask the team of the ward first")
    said = text_of(office.client.get("/requests/"))
    assert "✕ refused" in said and "ask the team of the ward first" in said and "MRNQPERSON" not in said
    assert office.client.get(office.page).status_code == 404
    assert acts()[-1] == ("access.refuse", "care", "")


def test_an_administrator_ends_what_was_granted(office: Office) -> None:
    office.decide(asked_for(office.user, office.site, "MRNQPERSON"))
    relation = CareRelation.objects.get(user=office.user)
    office.desk.post(f"/access/relations/{relation.pk}/end/")
    assert office.client.get(office.page).status_code == 404 and "granted, over" in text_of(office.client.get("/requests/"))


@pytest.mark.parametrize("address", ["/requests/", "/access/"])
def test_queries_do_not_grow_with_requests(office: Office, address: str) -> None:
    client = office.client if address == "/requests/" else office.desk

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert client.get(address).status_code == 200
        return len(asked)

    for scope in ("patient", "team"):
        office.decide(asked_for(office.user, office.site, "MRNQPERSON" if scope == "patient" else "Ward 3B", scope=scope))
    asked_for(office.user, office.site, "N")
    cost()
    few = cost()
    for number in range(8):
        asked_for(office.user, office.site, f"N{number}")
        office.decide(asked_for(office.user, office.site, "MRNQPERSON"))
    assert cost() == few <= 25
