"""The administrator's pages: people and roles, care teams, why somebody may see a patient."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from salus_web.access.listing import SHOWN_AT_MOST, granted_requests, waiting_requests, why
from salus_web.accounts.access import declare
from salus_web.accounts.models import Role, RoleGrant, Site, User
from salus_web.accounts.permissions import can
from salus_web.accounts.places import site_ids_for, where_allowed
from salus_web.accounts.selectors import PEOPLE_PAGE, actor_for_user, people, person_named, sites_for
from salus_web.accounts.services import end_role, grant_role
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden
from salus_web.dashboard.views.again import shown_again, typed
from salus_web.dashboard.views.asked import day, page_number
from salus_web.records.models import CareTeamMembership
from salus_web.records.selectors import (
    MEMBERS_PAGE,
    RELATIONS_SHOWN,
    TEAMS_PAGE,
    person_by_number,
    relation_of_site,
    relations_of,
    team_here,
    teams,
)
from salus_web.records.services import end_relation, join_team, leave_team, relate_person

SEARCH_LENGTH = 200

@declare("access.read", audit="access.read")
@require_http_methods(["GET", "POST"])
def access(request: HttpRequest, problem: str = "") -> HttpResponse:
    """People with their roles, care teams, and the question who may see whom; it is posted, so that no record number
    stands in an address. After another form of the page was refused, with its problem."""
    viewer = request.actor  # type: ignore[attr-defined]
    text, page, part = " ".join(request.GET.get("q", "").split())[:SEARCH_LENGTH], page_number(request), page_number(request, "teams")
    waiting, granted = waiting_requests(viewer=viewer), granted_requests(viewer=viewer)
    found, groups = people(viewer=viewer, text=text, page=page), teams(viewer=viewer, page=part)
    sites, manages = sites_for(viewer=viewer, action="access.read"), site_ids_for(viewer, "access.manage")
    context: dict[str, Any] = {
        "people": found[:PEOPLE_PAGE], "page": page, "has_next": len(found) > PEOPLE_PAGE, "text": text, "search": urlencode({"q": text}),
        "teams": groups[:TEAMS_PAGE], "part": part, "has_more_teams": len(groups) > TEAMS_PAGE, "sites": sites,
        "managed": [site for site in sites if str(site.pk) in manages],
        "waiting": waiting[:SHOWN_AT_MOST], "more_wait": len(waiting) > SHOWN_AT_MOST, "me": viewer.id,
        "granted": granted[:SHOWN_AT_MOST], "more_granted": len(granted) > SHOWN_AT_MOST,
        "roles": Role.choices, "may_manage": can(viewer, "access.manage"),
        "asked": {name: "" if problem else request.POST.get(name, "") for name in ("site", "mrn", "person")},
    }  # fmt: skip
    try:
        context |= _answer(request, context["asked"]) if context["asked"]["mrn"] else {}
    except BadInput as said:
        problem = str(said)
    return render(request, "dashboard/access.html", context | typed(request, problem), status=409 if problem else 200)


def _answer(request: HttpRequest, asked: dict[str, str]) -> dict[str, Any]:
    """The sentence, and the care relations of the patient; nothing clinical."""
    viewer = request.actor  # type: ignore[attr-defined]
    site = one_of_sites(sites_for(viewer=viewer, action="access.read"), asked["site"])
    patient = person_by_number(viewer=viewer, site_id=site.pk, mrn=asked["mrn"])
    if patient is None:
        return {"sentence": "Nobody at this hospital has this record number."}
    user = _person(asked["person"]) if asked["person"].strip() else None
    asked["person"] = user.username if user else ""
    sentence = why(viewer=viewer, patient=patient, user=user, actor=actor_for_user(user)) if user else "Everybody who may or might see this patient:"
    found = relations_of(viewer=viewer, patient=patient)
    return {"sentence": sentence, "relations": found[:RELATIONS_SHOWN], "more_relations": len(found) > RELATIONS_SHOWN, "patient": patient}


def one_of_sites(sites: list[Site], site_id: str) -> Site:
    """One of the viewer's own hospitals."""
    found = next((site for site in sites if str(site.pk) == site_id), None)
    if found is None:
        raise BadInput("Choose one of your hospitals.")
    return found


def managed_site(request: HttpRequest) -> Site:
    """The hospital of a form, one that the viewer administers."""
    return one_of_sites(sites_for(viewer=request.actor, action="access.manage"), request.POST.get("site", ""))  # type: ignore[attr-defined]


def _person(text: str) -> User:
    """The person named in a form: by the whole sign-in name, or by the id as a program sends it."""
    found = person_named(text=text)
    if found is None:
        raise BadInput("Person: nobody has this sign-in name. Choose a person from the list of people, or type the whole sign-in name.")
    return found


def last_moment(text: str) -> datetime | None:
    """The end of a day as a moment, or None for no end. What is given from now on cannot end before."""
    last = day(text)
    end = datetime.combine(last, time.max, tzinfo=UTC) if last else None
    if end is not None and end <= now():
        raise BadInput("The end must lie ahead.")
    return end


@declare("access.manage", step_up=True, form_on="/access/")
@require_POST
@shown_again(access)
def add_role(request: HttpRequest, user_id: UUID) -> HttpResponse:
    """One more role."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    user, site = get_object_or_404(User, pk=user_id), managed_site(request)
    grant_role(user=user, site=site, role=post.get("role", ""), ends_at=last_moment(post.get("ends", "")), by=viewer)
    messages.info(request, "The role was given.")
    return HttpResponseRedirect("/access/")


@declare("access.manage", step_up=True)
@require_POST
def remove_role(request: HttpRequest, grant_id: UUID) -> HttpResponse:
    """End a role now."""
    viewer = request.actor  # type: ignore[attr-defined]
    end_role(grant=get_object_or_404(RoleGrant, where_allowed(viewer, "access.manage"), pk=grant_id), by=viewer)
    messages.info(request, "The role has ended.")
    return HttpResponseRedirect("/access/")


@declare("access.manage", step_up=True, form_on="/access/")
@require_POST
@shown_again(access)
def add_member(request: HttpRequest) -> HttpResponse:
    """Put a person into a care team."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    name = post.get("team", "").strip()
    if not name:
        raise BadInput("Name the care team, such as the ward.")
    user, site = _person(post.get("person", "")), managed_site(request)
    join_team(site=site, team_name=name[:120], user=user, ends_at=last_moment(post.get("ends", "")), by=viewer)
    messages.info(request, f"{user.display_name} is in the care team {name}.")
    return HttpResponseRedirect("/access/")


@declare("access.manage", step_up=True)
@require_POST
def remove_member(request: HttpRequest, membership_id: UUID) -> HttpResponse:
    """End a membership now."""
    viewer = request.actor  # type: ignore[attr-defined]
    theirs = where_allowed(viewer, "access.manage", "team__site_id")
    row = get_object_or_404(CareTeamMembership.objects.select_related("team"), theirs, pk=membership_id)
    leave_team(membership=row, by=viewer)
    messages.info(request, "The membership has ended.")
    back = {"person": f"/access/people/{row.user_id}/", "team": f"/access/teams/{row.team_id}/"}  # the page it was ended on
    return HttpResponseRedirect(back.get(request.POST.get("from", ""), "/access/"))


@declare("access.read", audit="team.read")
@require_GET
def team(request: HttpRequest, team_id: UUID) -> HttpResponse:
    """Everybody who is in one care team now, a page at a time."""
    viewer, page = request.actor, page_number(request)  # type: ignore[attr-defined]
    found, members = team_here(viewer=viewer, team_id=team_id, page=page)
    context = {
        "team": found, "members": members[:MEMBERS_PAGE], "page": page, "has_next": len(members) > MEMBERS_PAGE,
        "may_manage": str(found.site_id) in site_ids_for(viewer, "access.manage"),
    }  # fmt: skip
    return render(request, "dashboard/team.html", context)


@declare("access.manage", step_up=True, form_on="/access/")
@require_POST
@shown_again(access)
def add_relation(request: HttpRequest) -> HttpResponse:
    """Let one clinician see one patient."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    site = managed_site(request)
    patient = person_by_number(viewer=viewer, site_id=site.pk, mrn=post.get("mrn", ""))
    if patient is None:
        raise BadInput("Nobody at this hospital has this record number.")
    user = _person(post.get("person", ""))
    relate_person(patient=patient, user=user, reason=post.get("reason", ""), ends_at=last_moment(post.get("ends", "")), by=viewer)
    messages.info(request, f"{user.display_name} may see this patient from now on.")
    return HttpResponseRedirect("/access/")


@declare("access.manage", step_up=True)
@require_POST
def remove_relation(request: HttpRequest, relation_id: UUID) -> HttpResponse:
    """End a care relation now."""
    relation = relation_of_site(viewer=request.actor, relation_id=relation_id)  # type: ignore[attr-defined]
    if relation is None:
        raise Hidden("There is no such page.")
    end_relation(relation=relation, by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The care relation has ended.")
    return HttpResponseRedirect("/access/")
