"""Emergency access: the clinician's form, handing back, the care team's notice, the board, and the review."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from salus_web.access.models import EmergencyReason, Verdict
from salus_web.access.selectors import board as board_for
from salus_web.access.selectors import case, own
from salus_web.access.services import break_glass, hand_back, review, take_note
from salus_web.accounts.access import declare
from salus_web.accounts.permissions import can
from salus_web.accounts.selectors import sites_as
from salus_web.common.errors import BadInput

FIELDS = ("site", "mrn", "reason_code", "reason")
NOBODY = "Nobody at this hospital has this record number. Nothing was opened; that you asked is on the log. Please check the number on the wristband."


@declare("emergency.break", step_up=True)
@require_http_methods(["GET", "POST"])
def emergency(request: HttpRequest) -> HttpResponse:
    """Number, reason and text in one form, so that nothing is said of a number before a reason is on the log."""
    viewer, problem = request.actor, ""  # type: ignore[attr-defined]
    asked = {name: request.POST.get(name, "") for name in FIELDS}
    if request.method == "POST":
        try:
            opening = break_glass(
                site_id=asked["site"], mrn=asked["mrn"], reason_code=asked["reason_code"], reason=asked["reason"], by=viewer
            )
        except BadInput as said:
            opening, problem = None, str(said)
        if opening is not None:
            if not opening.is_new:
                messages.info(request, "This record was open to you already, so no emergency access was begun.")
            return HttpResponseRedirect(f"/patients/{opening.patient_id}/")
        problem = problem or NOBODY
    context = {
        "asked": asked, "problem": problem, "sites": sites_as(viewer=viewer, roles=["clinician"]),
        "reasons": EmergencyReason.choices, "own": own(viewer=viewer),
    }  # fmt: skip
    return render(request, "dashboard/emergency.html", context, status=409 if problem else 200)


@declare("emergency.break")
@require_POST
def back(request: HttpRequest, glass_id: UUID) -> HttpResponse:
    """Hand the record back before the four hours are over."""
    hand_back(glass_id=glass_id, by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, "The record is handed back and closed to you. Another person will review what was read.")
    return HttpResponseRedirect("/emergency/")


@declare("emergency.notice")
@require_POST
def seen(request: HttpRequest, glass_id: UUID) -> HttpResponse:
    """Somebody of the care team has taken note."""
    take_note(glass_id=glass_id, by=request.actor)  # type: ignore[attr-defined]
    return HttpResponseRedirect("/worklist/")


@declare("emergency.read", audit="emergency.board")
@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """Open, to review, closed; and how often each person broke the glass."""
    return render(request, "dashboard/emergencies.html", {"board": board_for(viewer=request.actor)})  # type: ignore[attr-defined]


@declare("emergency.read")
@require_GET
def one(request: HttpRequest, glass_id: UUID) -> HttpResponse:
    """One emergency access with everything that was done under it."""
    viewer = request.actor  # type: ignore[attr-defined]
    found, may_manage = case(viewer=viewer, glass_id=glass_id), can(viewer, "access.manage")
    return render(request, "dashboard/emergency_case.html", {"case": found, "verdicts": Verdict.choices, "may_manage": may_manage})


@declare("emergency.review")
@require_POST
def judge(request: HttpRequest, glass_id: UUID) -> HttpResponse:
    """A verdict and a sentence, which close it."""
    review(
        glass_id=glass_id, verdict=request.POST.get("verdict", ""), finding=request.POST.get("finding", ""),
        by=request.actor,  # type: ignore[attr-defined]
    )  # fmt: skip
    messages.info(request, "Your verdict was kept, and this emergency access is closed.")
    return HttpResponseRedirect("/emergencies/")
