"""Giving and ending access from the screen, signing in and out, and finding lines of the log again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.audit.selectors import PAGE
from salus_web.audit.services import Act, record
from salus_web.common import keyring
from salus_web.common.clock import now
from salus_web.records.models import CareRelation

from tests.factories.hospital import Person, make_bundle, make_person
from tests.factories.people import PASSWORD, SYSTEM, client_of, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@dataclass
class Office:
    """An administrator's desk, and a patient in nobody's care."""

    site: Site
    desk: Client
    person: Person

    def why(self, user: User, **changes: str) -> str:
        """What the page says of this person and the patient."""
        asked = {"site": str(self.site.pk), "mrn": f"MRN{self.person.token}", "person": str(user.pk)}
        return text_of(self.desk.post("/access/", asked | changes))

    def let_see(self, user: User, **changes: str) -> Any:
        form = {"site": str(self.site.pk), "mrn": f"MRN{self.person.token}", "person": str(user.pk), "reason": "second opinion"}
        return self.desk.post("/access/relations/", form | changes)


@pytest.fixture
def office() -> Office:
    site = make_site()
    return Office(site, client_of(make_user("administrator", site)), make_person(site, "Qdesk", make_bundle()))


# --- roles and relations


def test_a_role_is_given_until_a_day_and_ended_at_once(office: Office) -> None:
    user = make_user("clinician", office.site)
    theirs, address = client_of(user), f"/access/people/{user.pk}/roles/"
    assert theirs.get("/audit/").status_code == 403
    last = (now() + timedelta(days=3)).date()
    form = {"role": "auditor", "site": str(office.site.pk), "ends": last.isoformat()}
    assert office.desk.post(address, form).status_code == 302
    assert theirs.get("/audit/").status_code == 200 and theirs.get("/worklist/").status_code == 200
    grant = RoleGrant.objects.get(user=user, role="auditor")
    assert grant.ends_at is not None and grant.ends_at.date() == last
    again = office.desk.post(address, form)
    assert again.status_code == 409 and "already holds this role" in text_of(again)
    office.desk.post(f"/access/roles/{grant.pk}/end/")
    assert theirs.get("/audit/").status_code == 403 and theirs.get("/worklist/").status_code == 200
    acts = Event.objects.filter(action__startswith="role.").order_by("number")
    assert list(acts.values_list("action", flat=True)) == ["role.grant", "role.end"]


def test_a_role_is_given_only_at_an_own_hospital(office: Office) -> None:
    user = make_user("clinician", office.site)
    form = {"role": "auditor", "site": str(make_site().pk)}
    answer = office.desk.post(f"/access/people/{user.pk}/roles/", form)
    assert answer.status_code == 409 and "Choose one of your hospitals" in text_of(answer)
    assert not RoleGrant.objects.filter(role="auditor").exists()


def test_one_clinician_sees_one_patient_for_as_long_as_said(office: Office) -> None:
    user, other = make_user("clinician", office.site), make_user("clinician", office.site)
    theirs, page = client_of(user), f"/patients/{office.person.patient.pk}/"
    assert theirs.get(page).status_code == 404
    assert f"{user.display_name} may not see this patient: there is no care relation" in office.why(user)
    last = (now() + timedelta(days=2)).date()
    assert office.let_see(user, ends=last.isoformat()).status_code == 302
    assert theirs.get(page).status_code == 200 and client_of(other).get(page).status_code == 404
    said = office.why(user)
    assert f"{user.display_name} may see this patient until {last:%d %b %Y} 23:59: consult (second opinion)" in said
    assert f"{other.display_name} may not see this patient" in office.why(other)
    assert f"may see this patient until {last:%d %b %Y}" not in office.why(other)
    relation = CareRelation.objects.get(user=user)
    assert b"opinion" not in bytes(relation.reason_sealed) and relation.reason == "second opinion"
    assert f"/access/relations/{relation.pk}/end/" in page_about(office), "one with a last day can be ended before it"
    office.desk.post(f"/access/relations/{relation.pk}/end/")
    assert theirs.get(page).status_code == 404 and f"{user.display_name} may not" in office.why(user)
    assert f"/access/relations/{relation.pk}/end/" not in page_about(office)
    lines = Event.objects.filter(action__startswith="relation.", patient=office.person.patient.pseudonym)
    assert list(lines.order_by("number").values_list("action", flat=True)) == ["relation.start", "relation.end"]


def page_about(office: Office) -> str:
    """The page that lists the care relations of the patient."""
    asked = {"site": str(office.site.pk), "mrn": f"MRN{office.person.token}"}
    return office.desk.post("/access/", asked).content.decode()


def test_the_page_still_opens_when_the_key_of_the_patients_data_was_destroyed(office: Office) -> None:
    user = make_user("clinician", office.site)
    office.let_see(user)
    keyring.destroy(f"person:{office.person.patient.pk}")
    assert "consult (destroyed with the key of this person" in office.why(user)
    assert "destroyed with the key" in page_about(office)


def test_who_is_no_clinician_may_not_see_whatever_was_given(office: Office) -> None:
    user = make_user("researcher", office.site)
    office.let_see(user)
    assert "not a clinician at present" in office.why(user)
    assert client_of(user).get(f"/patients/{office.person.patient.pk}/").status_code == 403


def test_asking_about_a_patient_is_logged_and_says_nothing_of_them(office: Office) -> None:
    said = office.why(make_user("clinician", office.site), person="")
    assert "Everybody who may or might see this patient" in said
    assert office.person.token not in said.replace(f"MRN{office.person.token}", "")
    line = Event.objects.get(action="access.look")
    assert (line.patient, line.outcome) == (office.person.patient.pseudonym, "done")


def test_a_patient_of_another_hospital_is_not_found(office: Office) -> None:
    abroad = make_person(make_site(), "Qabroad", office.person.prediction.bundle)
    user = make_user("clinician", office.site)
    assert "Nobody at this hospital" in office.why(user, mrn="MRNQabroad")
    assert office.desk.post("/access/", {"site": str(abroad.patient.site_id), "mrn": "MRNQabroad"}).status_code == 409
    assert office.let_see(user, mrn="MRNQabroad").status_code == 409
    assert "Nobody at your hospitals" in text_of(office.desk.post("/audit/", {"mrn": "MRNQabroad"}))
    assert not CareRelation.objects.filter(user=user).exists()


# --- the log


def lines(page: str) -> list[int]:
    """The numbers of the lines of the log on a page."""
    return [int(number) for number in re.findall(r'<tr><td class="num"[^>]*>(\d+)</td>', page)]


def searched(auditor: User, **asked: str) -> list[int]:
    """The numbers of the lines that a search of the log shows."""
    return lines(client_of(auditor).post("/audit/", asked, follow=True).content.decode())


def test_each_filter_leaves_only_its_lines(office: Office) -> None:
    site, bundle = office.site, office.person.prediction.bundle
    people = [make_person(site, token, bundle) for token in ("Qfirst", "Qsecond")]
    users = [make_user("clinician", site), make_user("clinician", site)]
    for user in users:
        for person in people:
            relate(user, person.patient)
            client_of(user).get(f"/patients/{person.patient.pk}/")
            client_of(user).get(f"/predictions/{person.prediction.pk}/")
    both = list(Event.objects.order_by("number").values_list("number", "actor_id", "action", "patient"))
    assert len(both) == 8
    auditor = make_user("auditor", site)

    def shown(**asked: str) -> set[int]:
        return set(searched(auditor, **asked)) & {row[0] for row in both}  # without the auditor's own lines

    person, pseudonym = str(users[0].pk), people[1].patient.pseudonym
    assert shown() == {row[0] for row in both}
    assert shown(person=person) == {row[0] for row in both if row[1] == person}
    assert shown(action="prediction.read") == {row[0] for row in both if row[2] == "prediction.read"}
    assert shown(mrn="MRNQsecond") == {row[0] for row in both if row[3] == pseudonym}
    only = shown(person=person, action="patient.read", mrn="MRNQsecond")
    assert only == {row[0] for row in both if row[1:] == (person, "patient.read", pseudonym)} and len(only) == 1
    assert shown(mrn="MRNQnobody") == set() == shown(person="nobody")
    own = searched(auditor, person=str(auditor.pk))
    assert set(own) == set(Event.objects.filter(actor_id=str(auditor.pk)).values_list("number", flat=True))


def test_the_log_is_searched_by_whole_days(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [datetime(2026, 3, day, hour, tzinfo=UTC) for day, hour in ((1, 23), (2, 0), (2, 23), (3, 0))]
    for moment in moments:
        monkeypatch.setattr("salus_web.audit.services.now", lambda moment=moment: moment)
        record(Act("session.end"), by=SYSTEM)
    monkeypatch.setattr("salus_web.audit.services.now", now)
    auditor, asked = make_user("auditor", office.site), {"action": "session.end"}
    fourth, third, second, first = Event.objects.order_by("-number").values_list("number", flat=True)
    assert searched(auditor, **asked) == [fourth, third, second, first]
    assert searched(auditor, **asked, since="2026-03-02") == [fourth, third, second]
    assert searched(auditor, **asked, until="2026-03-02") == [third, second, first]
    assert searched(auditor, **asked, since="2026-03-02", until="2026-03-02") == [third, second]


def test_older_pages_show_every_line_once(office: Office) -> None:
    for _ in range(2 * PAGE + 3):
        record(Act("session.end"), by=SYSTEM)
    written = list(Event.objects.order_by("-number").values_list("number", flat=True))
    address, seen = "?action=session.end", []
    for _ in range(3):
        page = office.desk.get(f"/audit/{address}").content.decode()
        seen += lines(page)
        older = re.search(r'href="(\?[^"]*before=[^"]*)"', page)
        address = older.group(1).replace("&amp;", "&") if older else ""
    assert seen == written and len(seen) == 2 * PAGE + 3 and address == ""


# --- signing in and out


def test_signing_in_and_out_is_logged_and_ends_what_it_began(office: Office) -> None:
    user, client = make_user("clinician", office.site), Client()
    assert client.get("/worklist/").headers["Location"] == "/login/?next=%2Fworklist%2F"
    form = {"username": user.username, "password": PASSWORD, "next": "/patients/"}
    assert client.post("/login/", form).headers["Location"] == "/patients/"
    assert client.get("/worklist/").status_code == 200
    cookie = client.cookies["sessionid"].value
    client.post("/logout/")
    client.cookies["sessionid"] = cookie
    assert client.get("/worklist/").status_code == 302, "the session is over, not only forgotten by the browser"
    mine = Event.objects.filter(actor_id=str(user.pk), action__startswith="session.").order_by("number")
    assert list(mine.values_list("action", flat=True)) == ["session.start", "session.end"]


def test_a_wrong_password_is_logged_without_what_was_typed(office: Office) -> None:
    user = make_user("clinician", office.site, "quiet-name")
    answer = Client().post("/login/", {"username": user.username, "password": "Qpassword wrong"})
    assert answer.status_code == 401 and b"do not belong together" in answer.content and b"Qpassword" not in answer.content
    line = Event.objects.get(action="session.refused")
    assert line.outcome == "refused"
    assert not re.search("quiet-name|Qpassword", str(Event.objects.filter(number=line.number).values().get()))


def test_who_was_sent_away_cannot_sign_in(office: Office) -> None:
    user = make_user("clinician", office.site)
    client = client_of(user)
    assert client.get("/worklist/").status_code == 200
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert client.get("/worklist/").status_code == 302
    assert Client().post("/login/", {"username": user.username, "password": PASSWORD}).status_code == 401


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "javascript:x"])
def test_signing_in_never_leads_elsewhere(office: Office, target: str) -> None:
    user = make_user("clinician", office.site)
    answer = Client().post("/login/", {"username": user.username, "password": PASSWORD, "next": target})
    assert answer.headers["Location"] == "/"
