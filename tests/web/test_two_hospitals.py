"""A role holds at its own hospital: what somebody is at one opens nothing at another, and nobody gives themselves more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from salus_web.accounts.models import ApiToken, Invitation, RoleGrant, Site, User
from salus_web.accounts.services import grant_role, invite
from salus_web.accounts.tokens import make_token
from salus_web.audit.models import WatchReason
from salus_web.audit.services import watch_record
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, StateConflict
from salus_web.ingest.models import Upload
from salus_web.records.models import CareRelation, CareTeam, CareTeamMembership, Observation
from salus_web.records.services import join_team, relate_person
from salus_web.stewardship.models import Erasure, RetentionRun
from salus_web.stewardship.rules import set_rule
from salus_web.stewardship.runs import dry_run
from salus_web.stewardship.services import set_hold

from tests.factories.factors import give_app
from tests.factories.hospital import Person, make_bundle, make_person, make_upload
from tests.factories.people import SYSTEM, actor_of, client_of, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
OTHERS = ("clinician", "auditor", "researcher")


def give(user: User, site: Site, role: str) -> RoleGrant:
    """One more role, held since yesterday."""
    return RoleGrant.objects.create(user=user, site=site, role=role, starts_at=now() - timedelta(days=1), granted_by="system:test")


def end(user: User, site: Site, role: str = "clinician") -> None:
    """The role has ended, longer ago than two clocks may differ."""
    RoleGrant.objects.filter(user=user, site=site, role=role).update(ends_at=now() - timedelta(minutes=2))


@dataclass
class Two:
    """An administrator of one hospital, and another hospital with a patient and a clinician."""

    here: Site
    there: Site
    chief: User
    desk: Client
    person: Person
    theirs: User

    @property
    def named(self) -> dict[str, str]:
        """The patient of the other hospital, as a form names them."""
        return {"site": str(self.there.pk), "mrn": f"MRN{self.person.token}"}


@pytest.fixture
def two(site: Site) -> Two:
    there = make_site()
    chief = make_user("administrator", site)
    return Two(site, there, chief, client_of(chief), make_person(there, "QTHERE", make_bundle()), make_user("clinician", there))


# --- a role is one at its own hospital


@pytest.mark.parametrize("role", OTHERS)
def test_an_administrator_here_gives_nothing_where_they_are_something_else(two: Two, role: str) -> None:
    give(two.chief, two.there, role)
    relation = relate(two.theirs, two.person.patient, team_name="Ward T")
    grant, member = RoleGrant.objects.get(user=two.theirs), CareTeamMembership.objects.get(user=two.theirs)
    counted = [table.objects.count() for table in (User, RoleGrant, CareTeamMembership, CareRelation)]
    person = {"person": two.theirs.username, "site": str(two.there.pk)}
    for address, form in (
        (f"/access/people/{two.theirs.pk}/roles/", {"role": "auditor", **person}),
        ("/access/people/", {"username": "new", "display_name": "New", "role": "clinician", **person}),
        ("/access/members/", {"team": "Ward T", **person}),
        ("/access/relations/", {**two.named, **person, "reason": "because"}),
    ):
        answer = two.desk.post(address, form)
        assert answer.status_code == 409 and "Choose one of your hospitals" in text_of(answer), address
    for address in (f"roles/{grant.pk}", f"members/{member.pk}", f"relations/{relation.pk}"):
        assert two.desk.post(f"/access/{address}/end/").status_code == 404, address
    assert counted == [table.objects.count() for table in (User, RoleGrant, CareTeamMembership, CareRelation)]
    live = (RoleGrant.objects.get(pk=grant.pk), CareTeamMembership.objects.get(pk=member.pk), CareRelation.objects.get(pk=relation.pk))
    assert not [row for row in live if row.ends_at]


@pytest.mark.parametrize("role", ["clinician", "researcher"])
def test_the_page_of_access_offers_and_shows_only_where_one_may(two: Two, role: str) -> None:
    give(two.chief, two.there, role)
    CareTeam.objects.create(site=two.there, name="Ward T")
    page = two.desk.get("/access/")
    assert b"Ward T" not in page.content and f'value="{two.there.pk}"'.encode() not in page.content
    assert two.theirs.display_name.encode() not in page.content
    assert two.desk.get(f"/access/people/{two.theirs.pk}/").status_code == 404
    assert two.desk.post("/access/", two.named).status_code == 409
    assert "Nobody at your hospitals" in text_of(two.desk.post("/audit/", {"mrn": two.named["mrn"]}))
    assert two.desk.get(f"/audit/looked/{two.person.patient.pseudonym}/").status_code == 404


def test_an_auditor_there_reads_and_gives_nothing(two: Two) -> None:
    """The one page shows both hospitals, and its forms one."""
    give(two.chief, two.there, "auditor")
    page = two.desk.get("/access/")
    assert {row.pk for row in page.context["sites"]} == {two.here.pk, two.there.pk}
    assert [row.pk for row in page.context["managed"]] == [two.here.pk]
    assert two.desk.post("/access/", two.named).status_code == 200
    assert two.theirs.display_name in text_of(page) and f"End Clinician of {two.theirs.display_name}" not in page.content.decode()


@pytest.mark.parametrize("role", OTHERS)
def test_keeping_and_erasing_are_for_administrators_of_the_patients_hospital(two: Two, role: str) -> None:
    give(two.chief, two.there, role)
    patient, keeper = two.person.patient, actor_of(make_user("administrator", two.there))
    hold = set_hold(patient=patient, reason="a court asks", until=None, by=keeper)
    set_rule(kind="record", years=10, by=SYSTEM)
    run = dry_run(site=two.there, by=keeper)
    page = two.desk.get("/keeping/")
    assert two.there.name not in text_of(page) and page.context["holds"] == [] == page.context["runs"]
    for address, form in (
        ("/keeping/erasures/", {**two.named, "reason": "asked by letter"}),
        ("/keeping/holds/", {**two.named, "reason": "a court asks"}),
        ("/keeping/runs/", {"site": str(two.there.pk)}),
    ):
        assert two.desk.post(address, form).status_code == 409, address
    assert two.desk.post(f"/keeping/holds/{hold.pk}/lift/", {"why": "over"}).status_code == 404
    assert two.desk.get(f"/keeping/runs/{run.pk}/").status_code == 404
    by = actor_of(two.chief)
    for act in (lambda: dry_run(site=two.there, by=by), lambda: set_hold(patient=patient, reason="x", until=None, by=by)):
        with pytest.raises(Hidden):
            act()
    assert not Erasure.objects.for_actor(SYSTEM).exists() and RetentionRun.objects.count() == 1


@pytest.mark.parametrize("role", ["auditor", "researcher"])
def test_what_came_in_is_for_those_who_may_read_it_there(two: Two, role: str) -> None:
    nurse = make_user("clinician", two.here)
    give(nurse, two.there, role)
    theirs, own = make_upload(two.there), make_upload(two.here)
    page = client_of(nurse).get("/uploads/")
    assert [row.pk for row in page.context["rows"]] == [own.pk] and [row.pk for row in page.context["sites"]] == [two.here.pk]
    client_of(nurse).post("/uploads/", {"site": str(two.there.pk), "files": []})
    assert Upload.objects.count() == 2 and theirs.site == two.there


def test_records_under_watch_are_named_to_those_who_read_the_log_there(two: Two) -> None:
    watch_record(pseudonym=two.person.patient.pseudonym, why=str(WatchReason.values[0]), by=actor_of(make_user("auditor", two.there)))
    give(two.chief, two.there, "clinician")
    assert two.person.token[-4:] not in text_of(two.desk.get("/audit/odd/"))


# --- nobody does it to their own account


def test_an_administrator_gives_themselves_nothing(two: Two) -> None:
    me, patient = two.chief, make_person(two.here, "QHERE", two.person.prediction.bundle).patient
    own = {"person": me.username, "site": str(two.here.pk)}
    for address, form in (
        (f"/access/people/{me.pk}/roles/", {"role": "clinician", **own}),
        (f"/access/people/{me.pk}/roles/", {"role": "auditor", **own}),
        (f"/access/people/{me.pk}/invite/", {}),
        ("/access/members/", {"team": "Ward 9", **own}),
        ("/access/relations/", {"mrn": "MRNQHERE", "reason": "because", **own}),
    ):
        answer = two.desk.post(address, form)
        assert answer.status_code == 409 and "your own account" in text_of(answer), address
    by = actor_of(me)
    for act in (
        lambda: grant_role(user=me, site=two.here, role="clinician", by=by), lambda: invite(user=me, by=by),
        lambda: join_team(site=two.here, team_name="Ward 9", user=me, by=by),
        lambda: relate_person(patient=patient, user=me, reason="because", ends_at=None, by=by),
    ):  # fmt: skip
        with pytest.raises(StateConflict, match="another administrator"):
            act()
    assert RoleGrant.objects.filter(user=me).count() == 1
    assert not Invitation.objects.exists() and not CareTeamMembership.objects.exists() and not CareRelation.objects.filter(user=me).exists()
    assert not CareTeam.objects.filter(name="Ward 9").exists()


# --- an account belongs to all hospitals of its person


def test_a_role_given_here_makes_nobody_elses_person_ones_own(two: Two) -> None:
    nurse, page = two.theirs, f"/access/people/{two.theirs.pk}"
    give_app(nurse)
    client_of(nurse).get("/worklist/")
    _, secret = make_token(user=nurse, name="board", purpose="care", role="clinician", days=3, by=actor_of(nurse))
    session, token = nurse.sign_ins.get(), ApiToken.objects.get()
    given = two.desk.post(f"{page}/roles/", {"role": "auditor", "site": str(two.here.pk)})
    assert given.status_code == 302 and RoleGrant.objects.filter(user=nurse, site=two.here, role="auditor").exists()
    acts = (
        (f"{page}/invite/", {}), (f"{page}/until/", {"now": "1"}), (f"{page}/factors/remove/", {}),
        (f"{page}/sessions/{session.pk}/end/", {}), (f"{page}/tokens/{token.pk}/end/", {}),
    )  # fmt: skip
    for address, form in acts:
        answer = two.desk.post(address, form)
        assert answer.status_code == 403 and "administrator of every hospital" in text_of(answer), address
    nurse.refresh_from_db()
    assert nurse.expires_at is None and not Invitation.objects.exists() and nurse.sign_ins.get().ended_at is None
    said = two.desk.get(f"{page}/")
    assert "administrator of every hospital" in text_of(said) and b"New link to choose a password" not in said.content
    assert f"{page}/sessions/".encode() not in said.content and f"{page}/tokens/".encode() not in said.content
    give(two.chief, two.there, "administrator")
    assert two.desk.post(f"{page}/invite/").status_code == 200
    assert [two.desk.post(address, form).status_code for address, form in acts[2:]] == [302] * 3


def test_where_the_other_role_has_ended_the_account_is_of_this_hospital(two: Two) -> None:
    give(two.theirs, two.here, "clinician")
    page = f"/access/people/{two.theirs.pk}/"
    assert two.desk.post(f"{page}invite/").status_code == 403
    end(two.theirs, two.there)
    assert two.desk.post(f"{page}invite/").status_code == 200


@pytest.mark.parametrize("role", ["auditor", "clinician"])
def test_an_account_of_a_hospital_where_one_is_something_else_stays_as_it_is(two: Two, role: str) -> None:
    give(two.chief, two.there, role)
    answer = two.desk.post(f"/access/people/{two.theirs.pk}/invite/")
    assert answer.status_code in {403, 404} and not Invitation.objects.exists()


# --- a clinician of the patient's hospital


@pytest.fixture
def both(two: Two) -> User:
    """A clinician of both hospitals with a patient there, through a team and directly."""
    nurse = make_user("clinician", two.here)
    give(nurse, two.there, "clinician")
    relate(nurse, two.person.patient)
    CareRelation.objects.create(patient=two.person.patient, user=nurse, kind="consult", starts_at=now() - timedelta(hours=1), added_by="x")
    relate(nurse, make_person(two.here, "QOWN", two.person.prediction.bundle).patient)
    return nurse


def test_a_clinician_role_that_ends_closes_the_patients_of_that_hospital(two: Two, both: User) -> None:
    client, patient = client_of(both), two.person.patient
    pages = ("/worklist/", "/patients/", "/patients/?q=MRNQTHERE")
    assert client.get(f"/patients/{patient.pk}/").status_code == 200
    assert [page for page in pages if "QTHERE" in text_of(client.get(page))] == list(pages)
    end(both, two.there)
    assert client.get(f"/patients/{patient.pk}/").status_code == 404
    assert client.get(f"/predictions/{two.person.prediction.pk}/").status_code == 404
    assert not [page for page in pages if "QTHERE" in text_of(client.get(page)).replace("MRNQTHERE", "")]
    assert "QOWN" in text_of(client.get("/worklist/")), "the other hospital stays open"
    assert not Observation.objects.for_actor(actor_of(both)).filter(patient=patient).exists()


@pytest.mark.parametrize("role", ["administrator", "auditor", "researcher"])
def test_another_role_at_the_patients_hospital_opens_nothing(two: Two, both: User, role: str) -> None:
    end(both, two.there)
    give(both, two.there, role)
    assert client_of(both).get(f"/patients/{two.person.patient.pk}/").status_code == 404


def test_why_can_she_see_this_says_that_she_is_no_clinician_there(two: Two, both: User) -> None:
    desk = client_of(make_user("administrator", two.there))
    asked = {**two.named, "person": both.username}
    assert f"{both.display_name} may see this patient" in text_of(desk.post("/access/", asked))
    end(both, two.there)
    said = text_of(desk.post("/access/", asked))
    assert f"{both.display_name} may not see this patient: not a clinician of this hospital at present" in said


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="row-level security is PostgreSQL's")
def test_the_second_wall_closes_with_the_clinician_role_as_well(two: Two, both: User) -> None:
    def seen(table: str, column: str) -> set[Any]:
        with wall.asked_by(str(both.pk)), connection.cursor() as cursor:
            cursor.execute(f"SELECT {column} FROM {table}")
            return {row[0] for row in cursor.fetchall()}

    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_policies WHERE policyname = 'salus_wall'")
        tables = [(row[0], "id" if row[0] == "records_patient" else "patient_id") for row in cursor.fetchall()]
    whose, before = two.person.patient.pk, {}
    for table, column in tables:
        before[table] = seen(table, column)
    assert len([table for table in before if whose in before[table]]) > 8
    end(both, two.there)
    give(both, two.there, "auditor")
    for table, column in tables:
        assert seen(table, column) == before[table] - {whose}, table


def test_a_relation_is_of_the_hospital_of_its_patient(two: Two) -> None:
    nurse = make_user("clinician", two.there)
    relation = relate_person(patient=two.person.patient, user=nurse, reason="consult", ends_at=None, by=SYSTEM)
    assert relation.site == two.there
    assert not CareRelation.objects.exclude(site_id__in=[two.there.pk]).exists()


# --- programs


def test_a_token_keeps_no_hospital_where_its_role_has_ended(two: Two) -> None:
    nurse = make_user("clinician", two.here)
    give(nurse, two.there, "clinician")
    own, theirs = make_upload(two.here), make_upload(two.there)
    _, secret = make_token(user=nurse, name="i", purpose="integration", role="clinician", days=3, by=actor_of(nurse))

    def found() -> set[str]:
        return {row["id"] for row in Client().get("/api/uploads/", headers={"authorization": f"Bearer {secret}"}).json()["uploads"]}

    assert found() == {str(own.pk), str(theirs.pk)}
    end(nurse, two.there)
    give(nurse, two.there, "researcher")
    assert found() == {str(own.pk)}
