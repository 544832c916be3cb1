"""What a patient allows: read and recorded by a clinician in a care relation."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from salus_web.accounts.access import declare
from salus_web.common.errors import BadInput
from salus_web.dashboard.views.again import typed
from salus_web.dashboard.views.asked import day
from salus_web.records.consent import history_of, open_for_consent, standing_of
from salus_web.records.models import Patient
from salus_web.stewardship.services import record_consent

SAID = {"yes": True, "no": False}


@declare("consent.record", shows_patient=True)
@require_http_methods(["GET", "POST"])
def consent(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """What stands for each purpose, every earlier word, and a form for a new one; after a refusal with what was typed."""
    viewer, problem = request.actor, ""  # type: ignore[attr-defined]
    patient = open_for_consent(patient_id=patient_id, viewer=viewer)
    if request.method == "POST":
        try:
            _keep(request, patient)
            return HttpResponseRedirect(f"/patients/{patient_id}/consent/")
        except BadInput as refused:
            problem = str(refused)
    context = {
        "patient": patient, "number_end": patient.number_end, "name": patient.name or "no name recorded",
        "standing": standing_of(patient=patient), "history": history_of(patient=patient),
        **typed(request, problem),
    }  # fmt: skip
    return render(request, "dashboard/consent.html", context, status=409 if problem else 200)


def _keep(request: HttpRequest, patient: Patient) -> None:
    post = request.POST
    if post.get("said") not in SAID:
        raise BadInput("Say whether the patient allows it or does not.")
    _, listed = record_consent(
        patient=patient, purpose=post.get("purpose", ""), granted=SAID[post["said"]], form=post.get("form", ""),
        said_on=day(post.get("day", "")), by=request.actor,  # type: ignore[attr-defined]
    )  # fmt: skip
    held = f" Exports and models that hold this patient's data were put on the administrators' list: {listed}." if listed else ""
    messages.info(request, f"Kept as a new version; the earlier word stays as it was.{held}")
