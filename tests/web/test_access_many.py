"""The administrator's pages in a hospital of many people: they stay the same size, and everybody is still found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.models import Project
from salus_web.common.clock import now
from salus_web.records.models import CareRelation, CareTeam, CareTeamMembership

from tests.factories.cohorts import make_project
from tests.factories.people import client_of, make_patient, make_site, make_user, relate
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
KILOBYTE = 1024


@pytest.fixture
def site() -> Site:
    return make_site()


@pytest.fixture
def desk(site: Site) -> Client:
    """An administrator's desk."""
    return client_of(make_user("administrator", site, "alma"))


def crowd(site: Site, numbers: range, role: str = "clinician") -> list[User]:
    """People with a role, stored at once: staff0000, staff0001 and so on."""
    made = User.objects.bulk_create(User(username=f"staff{number:04}", display_name=f"Nurse {number:04}", password="!") for number in numbers)
    start = now() - timedelta(days=1)
    RoleGrant.objects.bulk_create(RoleGrant(user=user, site=site, role=role, starts_at=start, granted_by="test") for user in made)
    return made


def teams_of(site: Site, members: list[User], numbers: range) -> list[CareTeam]:
    """Care teams, each with all these members."""
    made = CareTeam.objects.bulk_create(CareTeam(site=site, name=f"Ward {number:03}") for number in numbers)
    start = now() - timedelta(days=1)
    CareTeamMembership.objects.bulk_create(CareTeamMembership(team=team, user=user, starts_at=start, added_by="test") for team in made for user in members)
    return made


def queries(desk: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as seen:
        assert desk.get(address).status_code == 200
    return len(seen)


def size(desk: Client, address: str) -> int:
    return len(desk.get(address).content)


# --- what the pages cost


def test_the_page_asks_the_same_of_the_database_for_three_and_for_sixty(site: Site, desk: Client) -> None:
    teams_of(site, crowd(site, range(3)), range(3))
    queries(desk, "/access/")
    few = queries(desk, "/access/")
    teams_of(site, crowd(site, range(3, 60)), range(3, 60))
    assert queries(desk, "/access/") == few <= 25
    assert queries(desk, "/access/?q=nurse&page=2&teams=2") == few


def test_no_page_about_people_grows_with_them(site: Site, desk: Client) -> None:
    pages = ("/access/", "/audit/", "/access/projects/", f"/access/projects/{make_project(site, members=[make_user('researcher', site)]).pk}/")
    people = crowd(site, range(60), "researcher")
    teams_of(site, people, range(30))
    before = {page: size(desk, page) for page in pages}
    more = crowd(site, range(60, 300), "researcher")
    teams_of(site, more, range(30, 90))
    for page in pages:
        assert size(desk, page) < before[page] + 2 * KILOBYTE, page
    assert size(desk, "/access/") < 400 * KILOBYTE and size(desk, "/audit/") < 120 * KILOBYTE
    assert size(desk, "/access/projects/") < 40 * KILOBYTE


# --- finding people


def people_shown(desk: Client, address: str) -> list[str]:
    return [user.username for user in desk.get(address).context["people"]]


def test_everybody_is_on_one_of_the_pages_once(site: Site, desk: Client) -> None:
    crowd(site, range(59))
    pages = [people_shown(desk, f"/access/?page={number}") for number in (1, 2, 3)]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert sorted(name for page in pages for name in page) == sorted(User.objects.values_list("username", flat=True))
    assert people_shown(desk, "/access/?page=4") == [] and people_shown(desk, "/access/?page=0") == pages[0] == people_shown(desk, "/access/?page=x")
    first, last = desk.get("/access/").content, desk.get("/access/?page=3").content
    assert b"page=2" in first and b"previous people" not in first and b"page=2" in last and b"next 25 people" not in last


def test_people_are_found_by_parts_of_the_name_and_of_the_sign_in_name(site: Site, desk: Client) -> None:
    crowd(site, range(59))
    ida = User.objects.create_user("i.berg", "x", display_name="Ida Berg-Hansen")
    RoleGrant.objects.create(user=ida, site=site, role="clinician", starts_at=now(), granted_by="test")
    for text in ("ida", "hansen ida", "BERG", "i.b", " I.BERG "):
        assert people_shown(desk, f"/access/?q={text}") == ["i.berg"], text
    for text in ("ida nurse", "%", "_", "ida%berg"):
        assert people_shown(desk, f"/access/?q={text}") == [], text
    assert len(people_shown(desk, "/access/?q=nurse&page=3")) == 9
    assert b"/access/?q=nurse&amp;page=3" in desk.get("/access/?q=nurse&page=2").content, "the search goes along to the next page"
    assert "Nobody at your hospitals has this in the name" in text_of(desk.get("/access/?q=zzz"))
    assert desk.get("/access/", {"q": "n" * 5000}).status_code == 200 and desk.get("/access/", {"q": "a\x00"}).status_code == 400


def test_another_hospitals_people_are_found_by_the_whole_sign_in_name_alone(site: Site, desk: Client) -> None:
    stranger, new = make_user("clinician", make_site(), "stranger"), User.objects.create_user("new", "x", display_name="New")
    listed = people_shown(desk, "/access/")
    assert "stranger" not in listed and new.username in listed, "who has no role yet is given one here"
    assert people_shown(desk, "/access/?q=strang") == [] and people_shown(desk, "/access/?q=Stranger") == ["stranger"]
    page = desk.get("/access/?q=stranger").content
    assert f"/access/people/{stranger.pk}/roles/".encode() in page and f'href="/access/people/{stranger.pk}/"'.encode() not in page
    assert b'aria-label="End Clinician of Stranger"' not in page, "nobody ends what belongs to another hospital"
    assert desk.post(f"/access/people/{stranger.pk}/roles/", {"role": "clinician", "site": str(site.pk)}).status_code == 302
    assert "stranger" in people_shown(desk, "/access/")


# --- forms take a sign-in name


@pytest.mark.parametrize("written", ["mira", " MIRA ", "the id"])
def test_a_person_is_named_by_the_sign_in_name_or_by_the_id(site: Site, desk: Client, written: str) -> None:
    mira = make_user("clinician", site, "mira")
    patient = make_patient(site, mrn="MRN5")
    name = str(mira.pk) if written == "the id" else written
    about = {"site": str(site.pk), "mrn": "MRN5", "person": name}
    assert desk.post("/access/members/", {"person": name, "site": str(site.pk), "team": "Night"}).status_code == 302
    assert CareTeamMembership.objects.get().user == mira
    assert desk.post("/access/relations/", about | {"reason": "second opinion"}).status_code == 302
    assert CareRelation.objects.get(patient=patient).user == mira
    answer = desk.post("/access/", about)
    assert "Mira may see this patient" in text_of(answer) and b'value="mira"' in answer.content


def test_a_name_that_nobody_has_is_a_sentence_that_names_the_field(site: Site, desk: Client) -> None:
    make_patient(site, mrn="MRN5")
    form = {"site": str(site.pk), "mrn": "MRN5", "person": "mirra", "team": "Night", "reason": "second opinion"}
    for address in ("/access/", "/access/members/", "/access/relations/"):
        answer = desk.post(address, form)
        assert answer.status_code == 409 and "Person: nobody has this sign-in name" in text_of(answer), address
    assert not CareTeamMembership.objects.exists() and not CareRelation.objects.exists()


def test_two_names_that_differ_in_capitals_alone_are_told_apart(site: Site, desk: Client) -> None:
    mira, other = (User.objects.create_user(name, "x", display_name=name) for name in ("mira", "Mira"))
    form = {"site": str(site.pk), "team": "Night"}
    desk.post("/access/members/", form | {"person": "Mira"})
    assert [row.user for row in CareTeamMembership.objects.all()] == [other]
    assert desk.post("/access/members/", form | {"person": "MIRA"}).status_code == 409, "either could be meant"
    desk.post("/access/members/", form | {"person": "mira"})
    assert CareTeamMembership.objects.filter(user=mira).exists()


# --- care teams


def test_a_large_team_shows_twenty_and_its_own_page_the_others(site: Site, desk: Client) -> None:
    people = crowd(site, range(57))
    (team,) = teams_of(site, people, range(1))
    over = make_user("clinician", site, "gone")
    CareTeamMembership.objects.create(team=team, user=over, starts_at=now() - timedelta(days=9), ends_at=now() - timedelta(days=1), added_by="test")
    page = desk.get("/access/")
    assert page.content.count(b">Take out</button>") == 20 and "and 37 others" in text_of(page)
    address = f"/access/teams/{team.pk}/"
    first, second = desk.get(address), desk.get(f"{address}?page=2")
    shown = [row.user.username for answer in (first, second) for row in answer.context["members"]]
    assert shown == [user.username for user in people] and b"next 50" in first.content and b"next 50" not in second.content
    last = CareTeamMembership.objects.get(user=people[56])
    ended = desk.post(f"/access/members/{last.pk}/end/", {"from": "team"})
    assert ended.headers["Location"] == address and "Nurse 0056" not in desk.get(f"{address}?page=2").content.decode()
    assert "and 36 others" in text_of(desk.get("/access/"))


def test_teams_are_shown_by_pages_and_those_of_other_hospitals_are_not(site: Site, desk: Client) -> None:
    teams_of(site, [], range(26))
    foreign = CareTeam.objects.create(site=make_site(), name="Away")
    first, second = desk.get("/access/"), desk.get("/access/?teams=2")
    names = [team.name for answer in (first, second) for team in answer.context["teams"]]
    assert names == [f"Ward {number:03}" for number in range(26)] and b"teams=2" in first.content and b"teams=3" not in second.content
    assert desk.get(f"/access/teams/{foreign.pk}/").status_code == 404


def test_a_persons_page_lists_their_care_teams_and_ends_each(site: Site, desk: Client) -> None:
    nurse, away = make_user("clinician", site, "nurse"), make_site()
    relate(nurse, make_patient(site), team_name="Ward 7")
    relate(nurse, make_patient(away), team_name="Elsewhere")
    address = f"/access/people/{nurse.pk}/"
    said = text_of(desk.get(address))
    assert "Ward 7" in said and "Elsewhere" not in said
    auditor = client_of(make_user("auditor", site))
    assert "Ward 7" in text_of(auditor.get(address)) and b">Take out</button>" not in auditor.get(address).content
    row = CareTeamMembership.objects.get(team__name="Ward 7")
    assert desk.post(f"/access/members/{row.pk}/end/", {"from": "person"}).headers["Location"] == address
    assert "Ward 7" not in text_of(desk.get(address)) and Event.objects.filter(action="team.leave").count() == 1


# --- research projects and the log


def test_a_project_takes_researchers_by_their_sign_in_names(site: Site, desk: Client) -> None:
    crowd(site, range(30), "researcher")
    make_user("clinician", site, "carer")
    page = desk.get("/access/projects/")
    assert page.content.count(b'name="member"') == 25 and b'name="others"' in page.content
    form = {"name": "Sepsis", "purpose": "p", "site": str(site.pk), "others": "staff0028, STAFF0029,"}
    wrong = desk.post("/access/projects/make/", form | {"others": "staff0028, carer"})
    assert wrong.status_code == 409 and "Members: choose researchers" in text_of(wrong) and not Project.objects.exists()
    assert desk.post("/access/projects/make/", form).status_code == 302
    project = Project.objects.get()
    members: Callable[[], list[str]] = lambda: sorted(project.members.values_list("username", flat=True))  # noqa: E731
    assert members() == ["staff0028", "staff0029"]
    desk.post(f"/access/projects/{project.pk}/members/", {"person": "staff0027"})
    refused = desk.post(f"/access/projects/{project.pk}/members/", {"person": "carer"})
    assert refused.status_code == 409 and "Person: choose a researcher" in text_of(refused)
    assert members() == ["staff0027", "staff0028", "staff0029"]


def test_the_log_is_searched_by_sign_in_name(site: Site, desk: Client) -> None:
    noor = make_user("auditor", site, "noor")
    crowd(site, range(3))
    client_of(noor).get("/access/")
    answer = desk.post("/audit/", {"person": "Noor", "action": "access.read"})
    assert answer.headers["Location"] == f"/audit/?person={noor.pk}&action=access.read", "the address holds the id, not the name"
    page = desk.get(answer.headers["Location"])
    assert [row.actor_id for row in page.context["found"].rows] == [str(noor.pk)] and b'value="noor"' in page.content
    assert b"Nurse 0001" not in page.content
    assert "Person: nobody has this sign-in name" in text_of(desk.post("/audit/", {"person": "norr"}))
    assert desk.post("/audit/", {"person": "system:reconciler"}).headers["Location"] == "/audit/?person=system%3Areconciler"
