"""Projects are made, filled and ended by administrators, and open nothing that is not theirs to open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import RoleGrant, Site, User
from salus_web.audit.models import Event
from salus_web.cohorts.models import Project, ProjectGuest
from salus_web.cohorts.services import add_member, create_project
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Refused, StateConflict

from tests.factories.cohorts import make_project
from tests.factories.people import actor_of, client_of, make_site, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def office(site: Site) -> tuple[User, Client]:
    """An administrator and their browser."""
    user = make_user("administrator", site)
    return user, client_of(user)


def also(user: User, role: str, site: Site) -> None:
    """One more role."""
    RoleGrant.objects.create(user=user, site=site, role=role, starts_at=now() - timedelta(days=1), granted_by="system:test")


def test_a_project_is_made_on_a_page_and_its_members_build_cohorts(site: Site, office: tuple[User, Client]) -> None:
    _, desk = office
    first, second = make_user("researcher", site), make_user("researcher", site)
    assert "Research projects" in text_of(desk.get("/access/"))
    assert first.display_name in text_of(desk.get("/access/projects/"))
    last = (now() + timedelta(days=30)).date().isoformat()
    form = {"name": "Sepsis on the wards", "purpose": "Does it help?", "site": str(site.pk), "member": str(first.pk), "ends": last}
    answer = desk.post("/access/projects/make/", form)
    project = Project.objects.get()
    assert answer.headers["Location"] == f"/access/projects/{project.pk}/" and project.ends_at is not None
    assert [user.pk for user in project.members.all()] == [first.pk], "who makes a project is not in it"
    assert "Sepsis on the wards" in text_of(client_of(first).get("/cohorts/"))
    page = f"/cohorts/projects/{project.pk}/"
    assert client_of(first).get(page).status_code == 200 and client_of(second).get(page).status_code == 404
    assert f"{first.display_name}" in text_of(desk.get(f"/access/projects/{project.pk}/"))
    line = Event.objects.get(action="project.create")
    assert line.detail["members"] == [str(first.pk)] and line.detail["sites"] == [str(site.pk)]
    assert "already a project named" in text_of(desk.post("/access/projects/make/", form))


def test_members_come_and_go_and_so_do_guests(site: Site, office: tuple[User, Client]) -> None:
    _, desk = office
    stays, comes, guest = (make_user("researcher", site) for _ in range(3))
    project = make_project(site, members=[stays])
    ProjectGuest.objects.create(project=project, user=guest, starts_at=now(), ends_at=now() + timedelta(days=9), added_by="x")
    own, theirs = f"/access/projects/{project.pk}/", f"/cohorts/projects/{project.pk}/"
    desk.post(f"{own}members/", {"person": str(comes.pk)})
    assert client_of(comes).get(theirs).status_code == 200
    assert "(guest)" in text_of(desk.get("/access/projects/")) and "guest until" in text_of(desk.get(own))
    for user in (comes, guest):
        assert desk.post(f"{own}members/{user.pk}/end/").status_code == 302
        assert client_of(user).get(theirs).status_code == 404
        assert desk.post(f"{own}members/{user.pk}/end/").status_code == 409
    assert client_of(stays).get(theirs).status_code == 200
    lines = Event.objects.filter(action__startswith="project.member.").order_by("number").values_list("action", "object_id")
    assert list(lines) == [("project.member.add", str(comes.pk)), ("project.member.remove", str(comes.pk)), ("project.member.remove", str(guest.pk))]


def test_an_ended_project_opens_to_nobody_and_takes_nobody_in(site: Site, office: tuple[User, Client]) -> None:
    _, desk = office
    inside, outside = make_user("researcher", site), make_user("researcher", site)
    project = make_project(site, members=[inside])
    own = f"/access/projects/{project.pk}/"
    assert "has ended" in text_of(desk.post(f"{own}end/", follow=True))
    assert client_of(inside).get(f"/cohorts/projects/{project.pk}/").status_code == 403
    assert desk.post(f"{own}end/").status_code == desk.post(f"{own}members/", {"person": str(outside.pk)}).status_code == 409
    assert "ended" in text_of(desk.get("/access/projects/")) and Event.objects.filter(action="project.end").count() == 1


def test_nobody_opens_another_hospital_s_figures(site: Site, office: tuple[User, Client]) -> None:
    """A project shows its members the figures of all its hospitals: an administrator of one does not open the other's, but
    each may close its own."""
    user, desk = office
    elsewhere, researcher = make_site(), make_user("researcher", site)
    asked: dict[str, Any] = {"name": "A", "purpose": "p", "member_ids": [researcher.pk], "by": actor_of(user)}
    with pytest.raises(Refused, match="hospitals where you are an administrator"):
        create_project(site_ids=[site.pk, elsewhere.pk], **asked)
    also(user, "clinician", elsewhere)
    with pytest.raises(Refused, match="hospitals where you are an administrator"):
        create_project(site_ids=[elsewhere.pk], **asked | {"by": actor_of(user)})
    form = {"name": "A", "site": [str(site.pk), str(elsewhere.pk)], "member": str(researcher.pk)}
    assert "one of your hospitals" in text_of(desk.post("/access/projects/make/", form))
    shared, foreign = make_project(site, elsewhere, members=[researcher]), make_project(elsewhere, members=[researcher])
    with pytest.raises(Refused, match="another one"):
        add_member(project=shared, user=make_user("researcher", site), by=actor_of(user))
    assert "put in by an administrator of all its hospitals" in text_of(desk.get(f"/access/projects/{shared.pk}/"))
    for address in (f"/access/projects/{foreign.pk}/", "/access/projects/00000000-0000-0000-0000-000000000007/"):
        assert desk.get(address).status_code == desk.post(f"{address}end/").status_code == 404
    assert foreign.name not in text_of(desk.get("/access/projects/"))
    also(user, "administrator", elsewhere)
    assert desk.post(f"/access/projects/{shared.pk}/members/{researcher.pk}/end/").status_code == 302
    RoleGrant.objects.filter(user=user, role="administrator", site=elsewhere).update(ends_at=now())
    assert desk.post(f"/access/projects/{shared.pk}/end/").status_code == 302, "each hospital may close what is its own"
    assert not Project.objects.filter(name="A").exists()


def test_only_researchers_of_the_project_s_hospitals_are_members(site: Site, office: tuple[User, Client]) -> None:
    user, desk = office
    clinician, past, stranger = make_user("clinician", site), make_user("researcher", site), make_user("researcher", make_site())
    RoleGrant.objects.filter(user=past).update(ends_at=now())
    project = make_project(site, members=[make_user("researcher", site)])
    asked: dict[str, Any] = {"name": "A", "purpose": "p", "site_ids": [site.pk], "by": actor_of(user)}
    for who in (clinician, past, stranger):
        with pytest.raises(BadInput, match="every member"):
            create_project(member_ids=[who.pk], **asked)
        assert desk.post(f"/access/projects/{project.pk}/members/", {"person": str(who.pk)}).status_code == 409
        assert "from the list" in text_of(desk.post("/access/projects/make/", {"name": "A", "site": str(site.pk), "member": str(who.pk)}))
    for lacking in ({"member_ids": []}, {"member_ids": [past.pk], "site_ids": []}):
        with pytest.raises(BadInput, match="at least one"):
            create_project(**{"member_ids": [], **asked, **lacking})
    assert not Project.objects.filter(name="A").exists() and project.members.count() == 1


@pytest.mark.parametrize("role", ["researcher", "clinician", "auditor"])
def test_nobody_but_an_administrator_makes_or_changes_a_project(site: Site, role: str) -> None:
    user = make_user(role, site)
    project = make_project(site, members=[make_user("researcher", site)])
    with pytest.raises(Refused, match="role"):
        create_project(name="A", purpose="p", site_ids=[site.pk], member_ids=[user.pk], by=actor_of(user))
    with pytest.raises(Refused, match="role"):
        add_member(project=project, user=make_user("researcher", site), by=actor_of(user))


def test_an_auditor_reads_who_is_in_a_project_and_changes_nothing(site: Site) -> None:
    desk, inside = client_of(make_user("auditor", site)), make_user("researcher", site)
    project, foreign = make_project(site, members=[inside]), make_project(make_site(), members=[inside])
    for address in ("/access/projects/", f"/access/projects/{project.pk}/"):
        page = desk.get(address)
        assert inside.display_name in text_of(page)
        assert b"<form" not in page.content.partition(b"<main")[2].partition(b"</main>")[0]
    assert desk.get(f"/access/projects/{foreign.pk}/").status_code == 404
    assert desk.post(f"/access/projects/{project.pk}/end/").status_code == 403


def test_somebody_in_it_is_not_put_in_again(site: Site, office: tuple[User, Client]) -> None:
    inside = make_user("researcher", site)
    with pytest.raises(StateConflict, match="already"):
        add_member(project=make_project(site, members=[inside]), user=inside, by=actor_of(office[0]))


def test_the_list_costs_the_same_for_many_projects(site: Site, office: tuple[User, Client]) -> None:
    _, desk = office

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            desk.get("/access/projects/")
        return len(seen)

    make_project(site, members=[make_user("researcher", site)])
    desk.get("/access/projects/")
    before = queries()
    for _ in range(4):
        make_project(site, members=[make_user("researcher", site) for _ in range(3)])
    assert queries() == before
