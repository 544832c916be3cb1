"""The administrator's page of one erasure: asked for by one person, decided by another."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.again import shown_again
from salus_web.dashboard.views.keeping import chosen_patient, keeping_again
from salus_web.stewardship.decisions import erasure_for, holds_on
from salus_web.stewardship.erasures import ask_erasure, decide_erasure
from salus_web.stewardship.holdings import KEPT
from salus_web.stewardship.models import Decision


@declare("keys.destroy", step_up=True, form_on="/keeping/")
@require_POST
@shown_again(keeping_again)
def ask_to_erase(request: HttpRequest) -> HttpResponse:
    """Ask for a person to be erased; nothing goes yet."""
    row = ask_erasure(patient=chosen_patient(request), reason=request.POST.get("reason", ""), by=request.actor)  # type: ignore[attr-defined]
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
