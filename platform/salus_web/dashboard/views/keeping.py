"""The administrator's page of keeping and erasing: what must follow from a withdrawal, and legal holds."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.selectors import sites_for
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.access import last_moment, one_of_sites
from salus_web.dashboard.views.again import shown_again, typed
from salus_web.dashboard.views.asked import page_number
from salus_web.records.models import Patient
from salus_web.records.selectors import person_by_number
from salus_web.stewardship.decisions import erasures, runs
from salus_web.stewardship.follow_ups import settle_follow_up
from salus_web.stewardship.rules import rules
from salus_web.stewardship.selectors import OPEN_SHOWN, Named, follow_ups, hold_for, holds, name_of
from salus_web.stewardship.services import lift_hold, set_hold

HOLDS_PAGE = 25

@declare("keeping.read", audit="keeping.read")
@require_GET
def keeping(request: HttpRequest) -> HttpResponse:
    """Everything about keeping and erasing at the viewer's hospitals."""
    return _page(request)


@declare("keeping.read", audit="keeping.read")
def keeping_again(request: HttpRequest, problem: str) -> HttpResponse:
    """The same page after one of its forms was refused."""
    return _page(request, problem)


def _page(request: HttpRequest, problem: str = "") -> HttpResponse:
    viewer = request.actor  # type: ignore[attr-defined]
    (to_do, to_do_in_all), (asked, waiting_in_all) = follow_ups(viewer=viewer), erasures(viewer=viewer)
    held = Paginator(holds(viewer=viewer), HOLDS_PAGE).get_page(page_number(request, "holds"))
    context = {
        "follow_ups": to_do, "to_do_in_all": to_do_in_all, "erasures": asked, "waiting_in_all": waiting_in_all, "open_shown": OPEN_SHOWN,
        "rows": held, "holds": [Named(row, name_of(row.patient), row.reason) for row in held],
        "sites": sites_for(viewer=viewer, action="keeping.change"), "rules": rules(), "runs": runs(viewer=viewer), **typed(request, problem),
    }  # fmt: skip
    return render(request, "dashboard/keeping.html", context)


def chosen_patient(request: HttpRequest) -> Patient:
    """The patient of the record number in the form; the number stands in no address and the look is logged."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    site = one_of_sites(sites_for(viewer=viewer, action="keeping.change"), post.get("site", ""))
    patient = person_by_number(viewer=viewer, site_id=site.pk, mrn=post.get("mrn", ""))
    if patient is None:
        raise BadInput("Nobody at this hospital has this record number.")
    return patient


@declare("keeping.change", step_up=True, form_on="/keeping/")
@require_POST
@shown_again(keeping_again)
def add_hold(request: HttpRequest) -> HttpResponse:
    """Nothing of this patient is erased from now on."""
    post = request.POST
    set_hold(patient=chosen_patient(request), reason=post.get("reason", ""), until=last_moment(post.get("ends", "")), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The hold stands. Nothing of this patient is erased while it does.")
    return HttpResponseRedirect("/keeping/")


@declare("keeping.change", step_up=True, form_on="/keeping/")
@require_POST
@shown_again(keeping_again)
def end_hold(request: HttpRequest, hold_id: UUID) -> HttpResponse:
    """Lift a hold."""
    viewer = request.actor  # type: ignore[attr-defined]
    lift_hold(hold=hold_for(viewer=viewer, hold_id=hold_id), why=request.POST.get("why", ""), by=viewer)
    messages.info(request, "The hold was lifted.")
    return HttpResponseRedirect("/keeping/")


@declare("keeping.change", step_up=True)
@require_POST
def follow_up_done(request: HttpRequest, follow_up_id: UUID) -> HttpResponse:
    """Say what was done about an export or a model that holds somebody who took their word back."""
    settle_follow_up(follow_up_id=follow_up_id, words=request.POST.get("words", ""), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "Marked as done, with your sentence and your name.")
    return HttpResponseRedirect("/keeping/")
