"""Research projects for administrators: making one, who is in it, ending it. No figure and no cohort is shown here."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.actors import Actor
from salus_web.accounts.models import Site, User
from salus_web.accounts.permissions import can
from salus_web.cohorts.managing import (
    MEMBERS_PAGE,
    PROJECTS_PAGE,
    RESEARCHERS_SHOWN,
    administered,
    guests_of,
    members_of,
    project_here,
    projects_here,
    researcher_named,
    researchers,
)
from salus_web.cohorts.services import add_member, create_project, end_project, remove_member
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden
from salus_web.dashboard.views.access import last_moment, one_of_sites
from salus_web.dashboard.views.asked import page_number

MEMBERS_AT_ONCE = 50

@declare("access.read", audit="projects.manage")
@require_GET
def projects(request: HttpRequest) -> HttpResponse:
    """The projects of the viewer's hospitals, a page at a time, and a form for a new one."""
    viewer = request.actor  # type: ignore[attr-defined]
    sites = administered(viewer=viewer)
    known = researchers(viewer=viewer, sites=sites)
    rows = Paginator(projects_here(viewer=viewer), PROJECTS_PAGE).get_page(page_number(request))
    context = {
        "rows": rows, "sites": sites, "now": now(), "researchers": known[:RESEARCHERS_SHOWN],
        "has_more": len(known) > RESEARCHERS_SHOWN,
        "may_manage": can(viewer, "access.manage"),
    }  # fmt: skip
    return render(request, "dashboard/projects.html", context)


@declare("access.manage", step_up=True)
@require_POST
def make_project(request: HttpRequest) -> HttpResponse:
    """A new project at some of the viewer's hospitals, with its first members."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    mine = administered(viewer=viewer)
    sites = [one_of_sites(mine, key).pk for key in post.getlist("site")]
    named = [*post.getlist("member"), *(name.strip() for name in post.get("others", "").split(",") if name.strip())]
    if len(named) > MEMBERS_AT_ONCE:
        raise BadInput(f"Members: at most {MEMBERS_AT_ONCE} at once. Put the others in on the project's page.")
    members = [_chosen(viewer, mine, name) for name in named]
    made = create_project(
        name=post.get("name", ""), purpose=post.get("purpose", ""), site_ids=sites, member_ids=members,
        ends_at=last_moment(post.get("ends", "")), by=viewer,
    )  # fmt: skip
    messages.info(request, f"The project “{made.name}” runs. Its members find it on their page of cohorts.")
    return HttpResponseRedirect(f"/access/projects/{made.pk}/")


def _chosen(viewer: Actor, sites: list[Site], name: str) -> UUID:
    found = researcher_named(viewer=viewer, sites=sites, text=name)
    if found is None:
        raise BadInput("Members: choose researchers from the list, or type whole sign-in names of researchers at your hospitals, with a comma between.")
    return found.pk


@declare("access.read", audit="project.manage")
@require_GET
def project(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """One project: its hospitals, who is in it, and until when."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = project_here(viewer=viewer, project_id=project_id)
    sites = list(found.sites.all())
    members = Paginator(members_of(viewer=viewer, project=found), MEMBERS_PAGE).get_page(page_number(request))
    guests = Paginator(guests_of(viewer=viewer, project=found), MEMBERS_PAGE).get_page(page_number(request, "guests"))
    mine = {site.pk for site in administered(viewer=viewer)}
    context = {
        "project": found, "over": found.ends_at is not None and found.ends_at <= now(), "may_manage": can(viewer, "access.manage"),
        "may_add": {site.pk for site in sites} <= mine, "members": members, "guests": guests,
        "others": researchers(viewer=viewer, sites=sites, besides=found)[:RESEARCHERS_SHOWN],
    }  # fmt: skip
    return render(request, "dashboard/project.html", context)


@declare("access.manage", step_up=True)
@require_POST
def add_to_project(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """One more member."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = project_here(viewer=viewer, project_id=project_id)
    user = researcher_named(viewer=viewer, sites=list(found.sites.all()), text=request.POST.get("person", ""))
    if user is None:
        raise BadInput("Person: choose a researcher from the list, or type the whole sign-in name of one at the project's hospitals.")
    add_member(project=found, user=user, by=viewer)
    messages.info(request, f"{user.display_name} is in the project.")
    return HttpResponseRedirect(f"/access/projects/{found.pk}/")


@declare("access.manage", step_up=True)
@require_POST
def take_from_project(request: HttpRequest, project_id: UUID, user_id: UUID) -> HttpResponse:
    """End a membership or a guest's time now."""
    viewer = request.actor  # type: ignore[attr-defined]
    found, user = project_here(viewer=viewer, project_id=project_id), User.objects.filter(pk=user_id).first()
    if user is None:
        raise Hidden("There is no such page.")
    remove_member(project=found, user=user, by=viewer)
    messages.info(request, f"{user.display_name} is not in the project any more.")
    return HttpResponseRedirect(f"/access/projects/{found.pk}/")


@declare("access.manage", step_up=True)
@require_POST
def stop_project(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """End a project now."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = project_here(viewer=viewer, project_id=project_id)
    end_project(project=found, by=viewer)
    messages.info(request, "The project has ended. Nobody gets figures of it any more.")
    return HttpResponseRedirect(f"/access/projects/{found.pk}/")
