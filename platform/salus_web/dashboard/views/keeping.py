"""The administrator's pages of keeping and erasing: what must follow from a withdrawal, legal holds, erasures by two people."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.selectors import sites_of
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.access import last_moment, one_of_sites
from salus_web.records.models import Patient
from salus_web.records.selectors import person_by_number
from salus_web.stewardship.follow_ups import settle_follow_up
from salus_web.stewardship.holdings import KEPT
from salus_web.stewardship.models import Decision
from salus_web.stewardship.selectors import (
    erasure_for,
    erasures,
    follow_ups,
    hold_for,
    holds,
    holds_on,
)
from salus_web.stewardship.services import ask_erasure, decide_erasure, lift_hold, set_hold


@declare("keeping.read", audit="keeping.read")
@require_GET
def keeping(request: HttpRequest) -> HttpResponse:
    """Everything about keeping and erasing at the viewer's hospitals."""
    viewer = request.actor  # type: ignore[attr-defined]
    context = {
        "follow_ups": follow_ups(viewer=viewer), "holds": holds(viewer=viewer), "erasures": erasures(viewer=viewer),
        "sites": sites_of(viewer=viewer),
    }  # fmt: skip
    return render(request, "dashboard/keeping.html", context)


def _patient(request: HttpRequest) -> Patient:
    """The patient of the record number in the form; the number stands in no address and the look is logged."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    site = one_of_sites(sites_of(viewer=viewer), post.get("site", ""))
    patient = person_by_number(viewer=viewer, site_id=site.pk, mrn=post.get("mrn", ""))
    if patient is None:
        raise BadInput("Nobody at this hospital has this record number.")
    return patient


@declare("keeping.change", step_up=True)
@require_POST
def add_hold(request: HttpRequest) -> HttpResponse:
    """Nothing of this patient is erased from now on."""
    post = request.POST
    set_hold(patient=_patient(request), reason=post.get("reason", ""), until=last_moment(post.get("ends", "")), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The hold stands. Nothing of this patient is erased while it does.")
    return HttpResponseRedirect("/keeping/")


@declare("keeping.change", step_up=True)
@require_POST
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


@declare("keys.destroy", step_up=True)
@require_POST
def ask_to_erase(request: HttpRequest) -> HttpResponse:
    """Ask for a person to be erased; nothing goes yet."""
    row = ask_erasure(patient=_patient(request), reason=request.POST.get("reason", ""), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "Nothing was erased yet: another administrator has to agree.")
    return HttpResponseRedirect(f"/keeping/erasures/{row.pk}/")


@declare("keeping.read", audit="erasure.read")
@require_GET
def erasure(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """One erasure: who, why, what would go, what stays, and the second person's decision."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = erasure_for(viewer=viewer, erasure_id=erasure_id)
    waits = found.row.state == Decision.WAITING
    context: dict[str, Any] = {
        "found": found, "kept": list(KEPT.values()), "is_mine": found.row.asked_by == viewer.id, "waits": waits,
        "holds": holds_on(viewer=viewer, patient_id=found.row.patient_id) if waits else [],
    }  # fmt: skip
    return render(request, "dashboard/erasure.html", context)


@declare("keys.destroy", step_up=True)
@require_POST
def decide_to_erase(request: HttpRequest, erasure_id: UUID) -> HttpResponse:
    """Agree, and erase for ever; or refuse."""
    viewer, post = request.actor, request.POST  # type: ignore[attr-defined]
    found = erasure_for(viewer=viewer, erasure_id=erasure_id)
    if post.get("decision") not in {"erase", "refuse"}:
        raise BadInput("Say whether the person is erased or not.")
    accept = post["decision"] == "erase"
    decide_erasure(erasure=found.row, accept=accept, why=post.get("why", ""), by=viewer)
    messages.info(request, "The person was erased. Nobody can undo this." if accept else "The erasure was refused.")
    return HttpResponseRedirect(f"/keeping/erasures/{erasure_id}/")
