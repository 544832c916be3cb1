"""The administrator's pages of retention: the rules, a dry run, and what a second person says to it."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.selectors import sites_for
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.access import one_of_sites
from salus_web.dashboard.views.asked import whole
from salus_web.stewardship.decisions import items_of, run_for
from salus_web.stewardship.models import Decision
from salus_web.stewardship.rules import set_rule
from salus_web.stewardship.runs import decide_run, dry_run


@declare("keeping.change", step_up=True)
@require_POST
def change_rule(request: HttpRequest) -> HttpResponse:
    """For how long one kind of record is kept from now on."""
    text = request.POST.get("years", "").strip()
    years = whole(text) if text else None
    if text and years is None:
        raise BadInput("Years: give a whole number, or nothing to keep it for ever.")
    set_rule(kind=request.POST.get("kind", ""), years=years, by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The rule holds from now on. Nothing was erased.")
    return HttpResponseRedirect("/keeping/")


@declare("keeping.change", step_up=True)
@require_POST
def ask_run(request: HttpRequest) -> HttpResponse:
    """Find who is due. Nothing goes."""
    viewer = request.actor  # type: ignore[attr-defined]
    site = one_of_sites(sites_for(viewer=viewer, action="keeping.change"), request.POST.get("site", ""))
    run = dry_run(site=site, by=viewer)
    messages.info(request, "This is a dry run: nothing was erased.")
    return HttpResponseRedirect(f"/keeping/runs/{run.pk}/")


@declare("keeping.read", audit="retention.read")
@require_GET
def retention_run(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Who would go, how much, and why each held one is held; then what became of each."""
    viewer = request.actor  # type: ignore[attr-defined]
    run = run_for(viewer=viewer, run_id=run_id)
    waits, mine = run.state == Decision.WAITING, run.asked_by == viewer.id
    context = {"run": run, "items": items_of(viewer=viewer, run=run), "waits": waits, "is_mine": mine}
    return render(request, "dashboard/retention.html", context)


@declare("keys.destroy", step_up=True)
@require_POST
def decide_retention(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """Agree, and what is listed and still due goes; or refuse."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    if post.get("decision") not in {"erase", "refuse"}:
        raise BadInput("Say whether what is listed goes or stays.")
    decide_run(run=run_for(viewer=viewer, run_id=run_id), accept=post["decision"] == "erase", why=post.get("why", ""), by=viewer)
    messages.info(request, "Agreed; a worker carries it out now." if post["decision"] == "erase" else "Refused; nothing goes.")
    return HttpResponseRedirect(f"/keeping/runs/{run_id}/")
