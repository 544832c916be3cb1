"""Lists that grow with the hospital or with the years: a page stays the same size and asks the same, and nothing falls off unsaid."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.cohorts.models import Project, ProjectGuest
from salus_web.common.clock import now
from salus_web.records.models import CareTeam

from tests.factories.people import client_of, make_site, make_user
from tests.web.test_access_many import KILOBYTE, crowd, queries, size, teams_of
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(site: Site) -> Client:
    """An administrator's desk."""
    return client_of(make_user("administrator", site, "alma"))


# --- research projects


def projects_of(site: Site, members: list[User], guests: list[User], numbers: range) -> list[Project]:
    """Projects, each with all these members and guests: Study 000, Study 001 and so on."""
    start = now() - timedelta(days=1)
    made = Project.objects.bulk_create(Project(name=f"Study {number:03}", starts_at=start) for number in numbers)
    for project in made:
        project.sites.set([site])
        project.members.set(members)
    ProjectGuest.objects.bulk_create(
        ProjectGuest(project=project, user=user, starts_at=start, ends_at=now() + timedelta(days=9), added_by="x") for project in made for user in guests
    )
    return made


def test_projects_are_shown_by_pages_and_each_once(site: Site, desk: Client) -> None:
    projects_of(site, [], [], range(30))
    pages = [desk.get(f"/access/projects/?page={number}") for number in (1, 2)]
    assert [project.name for page in pages for project in page.context["rows"]] == [f"Study {number:03}" for number in range(30)]
    assert b"page=2" in pages[0].content and "page 1 of 2" in text_of(pages[0]) and "Study 025" not in text_of(pages[0])


def test_a_project_names_its_first_five_and_says_how_many_there_are(site: Site, desk: Client) -> None:
    people = crowd(site, range(68), "researcher")
    (project,) = projects_of(site, people[:60], people[60:], range(1))
    projects_of(site, people[:1], [], range(1, 2))
    page = desk.get("/access/projects/")
    said, names = text_of(page), text_of(page).partition("Make a project")[0]
    assert "60 members, 8 guests" in said and "and 58 others" in said
    assert "Nurse 0004" in names and "Nurse 0005" not in names and "Nurse 0064 (guest)" in names and "Nurse 0065" not in names
    assert f'<a href="/access/projects/{project.pk}/">and 58 others</a>' in page.content.decode()
    assert "1 member " in names and "0 guests" not in names


def test_the_list_of_projects_costs_the_same_however_many_there_are_and_are_in_them(site: Site, desk: Client) -> None:
    people = crowd(site, range(120), "researcher")
    projects_of(site, people[:30], people[30:35], range(25))
    queries(desk, "/access/projects/")
    few, before = queries(desk, "/access/projects/"), size(desk, "/access/projects/")
    projects_of(site, people, people[:50], range(25, 60))
    for project in Project.objects.all():
        project.members.set(people)
    assert queries(desk, "/access/projects/") == few <= 20
    assert size(desk, "/access/projects/") < before + KILOBYTE


def test_the_page_of_a_project_shows_its_people_by_pages(site: Site, desk: Client) -> None:
    people = crowd(site, range(220), "researcher")
    (project,) = projects_of(site, people[:60], people[60:120], range(1))
    address = f"/access/projects/{project.pk}/"
    pages = [desk.get(f"{address}?page={number}&guests={number}") for number in (1, 2)]
    assert [user for page in pages for user in page.context["members"]] == people[:60]
    assert [guest.user for page in pages for guest in page.context["guests"]] == people[60:120]
    assert "60 members, 60 guests" in text_of(pages[0]) and "Nurse 0055" not in text_of(pages[0]).partition("Sign-in name")[0]
    few, before = queries(desk, address), size(desk, address)
    project.members.set(people)
    assert queries(desk, address) == few <= 25 and size(desk, address) < before + KILOBYTE
    for user in (people[55], people[110]):
        assert desk.post(f"{address}members/{user.pk}/end/").status_code == 302
    assert people[55] not in project.members.all()


# --- asking for access


def test_a_request_is_offered_fifty_care_teams_and_takes_any_other_by_its_name(site: Site) -> None:
    client, elsewhere = client_of(make_user("clinician", site)), make_site()
    teams_of(site, [], range(50))
    CareTeam.objects.create(site=elsewhere, name="Away")
    said = text_of(client.get("/requests/"))
    assert "Ward 049" in said and "Away" not in said and "type the whole name" not in said
    before = size(client, "/requests/")
    teams_of(site, [], range(50, 400))
    said = text_of(client.get("/requests/"))
    assert "Ward 049" in said and "Ward 050" not in said and "first 50 care teams by name; type the whole name of any other" in said
    assert size(client, "/requests/") < before + KILOBYTE
    form = {"site": str(site.pk), "scope": "team", "wanted": "Ward 321", "purpose": "consult", "reason": "asked by the ward for an opinion"}
    assert client.post("/requests/", form | {"ends": (now() + timedelta(days=3)).date().isoformat()}).status_code == 302
