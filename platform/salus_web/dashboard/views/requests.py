"""Requests for access: asking, withdrawing, deciding."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from salus_web.access.listing import TEAMS_OFFERED, own_requests, team_names
from salus_web.access.models import AccessPurpose, Scope
from salus_web.access.requests import ROLE, ask_access, decide, withdraw
from salus_web.accounts.access import declare
from salus_web.accounts.selectors import sites_as
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.access import last_moment

FIELDS = ("site", "scope", "wanted", "purpose", "reason", "ends")


@declare("access.ask", audit="access.requests")
@require_http_methods(["GET", "POST"])
def requests(request: HttpRequest) -> HttpResponse:
    """One's own requests, and a form for another."""
    viewer, problem = request.actor, ""  # type: ignore[attr-defined]
    asked = {name: request.POST.get(name, "") for name in FIELDS}
    if request.method == "POST":
        try:
            ask_access(
                site_id=asked["site"], scope=asked["scope"], wanted=asked["wanted"], purpose=asked["purpose"],
                reason=asked["reason"], ends_at=last_moment(asked["ends"]), by=viewer,
            )  # fmt: skip
            messages.info(request, "Your request was sent. An administrator of the hospital decides on it.")
            return HttpResponseRedirect("/requests/")
        except BadInput as said:
            problem = str(said)
    sites = sites_as(viewer=viewer, roles=["clinician", "researcher"])
    teams = team_names(viewer=viewer, sites=sites) if "clinician" in viewer.roles else []
    context = {
        "asked": asked, "problem": problem, "sites": sites, "mine": own_requests(viewer=viewer), "purposes": AccessPurpose.choices,
        "scopes": [(key, words) for key, words in Scope.choices if ROLE[key] in viewer.roles], "now": now(),
        "teams": teams[:TEAMS_OFFERED], "has_more_teams": len(teams) > TEAMS_OFFERED,
    }  # fmt: skip
    return render(request, "dashboard/requests.html", context, status=409 if problem else 200)


@declare("access.ask")
@require_POST
def take_back(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Withdraw one's own request."""
    withdraw(request_id=request_id, by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The request was withdrawn.")
    return HttpResponseRedirect("/requests/")


@declare("access.manage", step_up=True)
@require_POST
def decide_request(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Grant or refuse, with a reason."""
    answer = request.POST.get("decision", "")
    if answer not in {"grant", "refuse"}:
        raise BadInput("Choose whether you grant or refuse the request.")
    row = decide(request_id=request_id, grant=answer == "grant", answer=request.POST.get("answer", ""), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, f"The request was {row.get_state_display()}.")
    return HttpResponseRedirect("/access/")
