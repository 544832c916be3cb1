"""The board of emergency accesses and their review: who may, what they are shown, what is overdue, and the figures."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.access.models import BreakGlass
from salus_web.access.selectors import board
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.common import clock, keyring
from salus_web.dashboard.demo import make_people
from salus_web.dashboard.demo_emergencies import show_emergencies
from salus_web.records.models import CareRelation, Patient

from tests.factories.emergencies import WORDS, broken
from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, client_of, make_patient, make_site, make_user
from tests.house.test_every_url import plain
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
ABSENT = "/emergencies/00000000-0000-0000-0000-000000000007/"
VERDICT = {"verdict": "justified", "finding": "the ward confirms the call"}


@dataclass
class Office:
    """An auditor's and an administrator's desk, a clinician, and a patient in nobody's care."""

    site: Site
    person: Person
    clinician: User
    auditor: User
    desk: Client
    administrator: Client

    def column(self, name: str) -> str:
        """The words of one column of the board."""
        page = self.desk.get("/emergencies/").content.decode()
        part = re.search(rf"<h2>{name}.*?</section>", page, re.S)
        assert part
        return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part.group())))

    def judge(self, glass: BreakGlass, **changes: str) -> Any:
        return self.desk.post(f"/emergencies/{glass.pk}/review/", VERDICT | changes)


@pytest.fixture
def office() -> Office:
    site = make_site()
    auditor = make_user("auditor", site)
    return Office(
        site, make_person(site, "QPERSON", make_bundle()), make_user("clinician", site), auditor, client_of(auditor),
        client_of(make_user("administrator", site)),
    )  # fmt: skip


def held(glass: BreakGlass) -> BreakGlass:
    found: BreakGlass = BreakGlass.objects.for_actor(SYSTEM).get(pk=glass.pk)
    return found


# refused


@pytest.mark.parametrize("role", ["clinician", "administrator", "researcher"])
def test_only_an_auditor_judges(office: Office, role: str) -> None:
    glass = broken(office.clinician, office.person.patient, ago=5 * HOUR)
    client = client_of(make_user(role, office.site))
    assert client.post(f"/emergencies/{glass.pk}/review/", VERDICT).status_code == 403
    assert held(glass).verdict == ""


def test_nobody_judges_their_own(office: Office) -> None:
    RoleGrant.objects.create(user=office.auditor, site=office.site, role="clinician", starts_at=clock.now() - HOUR, granted_by="x")
    glass = broken(office.auditor, office.person.patient, ago=5 * HOUR)
    answer = office.judge(glass)
    assert answer.status_code == 409 and "Another person must review it" in text_of(answer) and held(glass).verdict == ""
    assert b"Close with this verdict" not in office.desk.get(f"/emergencies/{glass.pk}/").content


def test_another_hospitals_answers_like_one_that_is_not_there(office: Office) -> None:
    there = make_site()
    glass = broken(make_user("clinician", there), make_person(there, "QTHERE", office.person.prediction.bundle).patient, ago=5 * HOUR)
    absent = office.desk.get(ABSENT)
    assert plain(office.desk.get(f"/emergencies/{glass.pk}/")) == plain(absent) and absent.status_code == 404
    assert plain(office.judge(glass)) == plain(office.desk.post(f"{ABSENT}review/", VERDICT)) and held(glass).verdict == ""
    assert "clinician" not in text_of(office.desk.get("/emergencies/")), "not on the board, nor in the figures"
    RoleGrant.objects.create(user=office.auditor, site=there, role="researcher", starts_at=clock.now() - HOUR, granted_by="x")
    assert office.judge(glass).status_code == 404, "a researcher there is no auditor there"


def test_it_is_judged_when_it_is_over_with_a_verdict_and_a_sentence_and_once(office: Office) -> None:
    glass = broken(office.clinician, office.person.patient)
    assert "still open" in text_of(office.judge(glass))
    CareRelation.objects.update(ends_at=clock.now())
    for wrong in ({"verdict": ""}, {"verdict": "fine"}, {"finding": ""}, {"finding": "ok"}, {"finding": "x" * 1001}):
        assert office.judge(glass, **wrong).status_code == 409, wrong
    assert held(glass).verdict == "" and office.judge(glass).status_code == 302
    again = office.judge(glass, verdict="unjustified")
    assert again.status_code == 409 and "The first verdict stands" in text_of(again)
    assert (held(glass).verdict, held(glass).finding, held(glass).reviewer_id) == ("justified", VERDICT["finding"], office.auditor.pk)
    assert b"confirms" not in bytes(held(glass).finding_sealed)
    line = Event.objects.get(action="emergency.review")
    assert (line.purpose, line.patient, line.detail) == ("emergency", office.person.patient.pseudonym, {"verdict": "justified", "late": False})


@pytest.mark.parametrize("state", ["open", "over", "closed"])
def test_an_administrator_and_an_auditor_get_nothing_clinical_by_it(office: Office, state: str) -> None:
    glass = broken(office.clinician, office.person.patient, ago=0 * HOUR if state == "open" else 5 * HOUR)
    if state == "closed":
        office.judge(glass)
    for client in (office.administrator, office.desk):
        for address in ("/emergencies/", f"/emergencies/{glass.pk}/"):
            answer = client.get(address)
            words = text_of(answer).replace("••••RSON", "")
            assert answer.status_code == 200 and "QPERSON" not in words
            assert (WORDS in words) is (client is office.desk and address != "/emergencies/"), f"{address}: the words are for auditors"
        assert client.get(f"/patients/{office.person.patient.pk}/").status_code == 403
    assert VERDICT["finding"] not in text_of(office.administrator.get(f"/emergencies/{glass.pk}/"))


# shown


def test_it_goes_from_column_to_column_and_stands_out_when_overdue(office: Office) -> None:
    people = [make_user("clinician", office.site, name) for name in ("opener", "ended", "waiter", "late")]
    _, ended, _, late = (
        broken(user, office.person.patient, ago=hours * HOUR) for user, hours in zip(people, (1, 5, 71, 73), strict=True)
    )
    assert "Opener" in office.column("Open") and "2 h 59 min left" in office.column("Open")
    waiting = office.column("To review")
    assert waiting.index("Late") < waiting.index("Waiter") < waiting.index("Ended"), "the most overdue first"
    assert waiting.count("⚠ review overdue by") == 1 and "⚠ review overdue by 60 min" in waiting
    assert "None was reviewed yet" in office.column("Closed")
    office.judge(ended, verdict="unjustified")
    office.judge(late)
    closed = office.column("Closed")
    assert "✕ not justified" in closed and "• justified" in closed and "Ended" not in office.column("To review")
    assert Event.objects.filter(action="emergency.review").latest("number").detail == {"verdict": "justified", "late": True}


def test_figures_say_for_each_person_how_often_how_many_wait_and_what_was_found(office: Office) -> None:
    rows = [broken(office.clinician, office.person.patient, ago=hours * HOUR) for hours in (2, 5, 73, 80, 90)]
    broken(office.clinician, office.person.patient, ago=timedelta(days=366))
    other = make_user("clinician", office.site, "rarely")
    broken(other, office.person.patient)
    for glass, verdict in zip(rows[3:], ("justified", "unjustified"), strict=True):
        office.judge(glass, verdict=verdict)
    page = office.desk.get("/emergencies/").content.decode()
    rows_said = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr><td>.*?</tr>", page)]
    said = {name: [re.sub(r"<[^>]+>|⚠ ", "", cell) for cell in cells] for name, *cells in rows_said}
    # opened, waiting, overdue, and the four verdicts
    assert said == {office.clinician.display_name: ["5", "3", "1", "1", "0", "0", "1"], "Rarely": ["1", "1", "0", "0", "0", "0", "0"]}


def test_what_was_read_under_it_is_listed_from_the_log_and_nothing_else(office: Office) -> None:
    other = make_person(office.site, "QELSE", office.person.prediction.bundle)
    client, page = client_of(office.clinician), f"/patients/{office.person.patient.pk}/"
    client.get(page)  # refused, before
    form = {"site": str(office.site.pk), "mrn": "MRNQPERSON", "reason_code": "called", "reason": "called by the ward"}
    client.post("/emergency/", form)
    client.get(page)
    client.get(f"/predictions/{office.person.prediction.pk}/")
    broken(office.clinician, other.patient)
    client.get(f"/patients/{other.patient.pk}/")
    glass = BreakGlass.objects.for_actor(SYSTEM).get(patient=office.person.patient)
    client.post(f"/emergency/{glass.pk}/back/")
    client.get(page)  # refused, after
    said = office.desk.get(f"/emergencies/{glass.pk}/").content.decode()
    acts = re.findall(r'<span class="small quiet">([a-z_]+\.[a-z_.]+)</span>', said)
    assert acts == ["emergency.break", "patient.read", "prediction.read"]
    assert "called to help" in said and "handed back" in said
    assert Event.objects.filter(action="emergency.read", patient=office.person.patient.pseudonym).count() == 1


def test_the_one_who_broke_the_glass_reads_what_was_found_but_no_name(office: Office) -> None:
    glass = broken(office.clinician, office.person.patient, ago=5 * HOUR)
    theirs = client_of(office.clinician)
    assert "review due by" in text_of(theirs.get("/emergency/"))
    office.judge(glass)
    said = text_of(theirs.get("/emergency/"))
    assert "justified" in said and VERDICT["finding"] in said and "QPERSON" not in said
    assert str(office.person.patient.pk) not in theirs.get("/emergency/").content.decode()


def test_an_administrator_ends_one_that_is_open(office: Office) -> None:
    glass = broken(office.clinician, office.person.patient)
    theirs, page = client_of(office.clinician), f"/patients/{office.person.patient.pk}/"
    assert theirs.get(page).status_code == 200
    assert "End it now" in text_of(office.administrator.get(f"/emergencies/{glass.pk}/"))
    assert "End it now" not in text_of(office.desk.get(f"/emergencies/{glass.pk}/"))
    assert office.administrator.post(f"/access/relations/{glass.relation_id}/end/").status_code == 302
    assert theirs.get(page).status_code == 404 and office.clinician.display_name in office.column("To review")


def test_the_reason_why_she_can_see_this_says_so(office: Office) -> None:
    glass = broken(office.clinician, office.person.patient)
    asked = {"site": str(office.site.pk), "mrn": "MRNQPERSON", "person": str(office.clinician.pk)}
    said = text_of(office.administrator.post("/access/", asked))
    until = f"{glass.relation.ends_at:%d %b %Y %H:%M}"
    assert f"may see this patient until {until}: by breaking the glass in an emergency (a reason), since" in said
    assert WORDS not in said


def test_the_board_still_opens_when_a_persons_key_was_destroyed(office: Office) -> None:
    glass = broken(office.clinician, office.person.patient, ago=5 * HOUR)
    keyring.destroy(f"person:{office.person.patient.pk}")
    assert "an erased person" in text_of(office.desk.get("/emergencies/"))
    assert "destroyed with the key" in text_of(office.desk.get(f"/emergencies/{glass.pk}/"))
    assert client_of(office.clinician).get("/emergency/").status_code == 200


def test_queries_of_the_board_do_not_grow(office: Office) -> None:
    def ask() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert office.desk.get("/emergencies/").status_code == 200
        return len(asked)

    broken(office.clinician, office.person.patient, ago=5 * HOUR)
    ask()
    few = ask()
    for hours in range(8):
        glass = broken(make_user("clinician", office.site), office.person.patient, ago=hours * HOUR)
        if hours > 5:
            office.judge(glass)
    assert ask() == few <= 22


def test_the_demonstration_shows_one_closed_and_one_to_review(settings: Any, tmp_path: Path) -> None:
    settings.SALUS_DATA_DIR = tmp_path
    make_people()
    assert show_emergencies() == 0, "nobody is there yet"
    for site in Site.objects.filter(code__in=["st-anne", "harbour"]):
        patient = make_patient(site)
        QuerySet(Patient).filter(pk=patient.pk).update(is_simulated=True)
    assert show_emergencies() == 2 and show_emergencies() == 0
    found = board(viewer=actor_of(User.objects.get(username="auditor")))
    assert ([card.who for card in found.closed], [card.who for card in found.review], found.open) == (["Dr Mira Holt"], ["Dr Jonas Beck"], [])
