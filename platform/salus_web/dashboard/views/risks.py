"""The prediction page and what can be done there: ask, review, replay, receipt."""

from __future__ import annotations

from typing import NoReturn
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.actors import Actor
from salus_web.common import vault
from salus_web.common.errors import BadInput, Hidden, StateConflict
from salus_web.dashboard.pages import prediction as prediction_page
from salus_web.dashboard.pages.banner import banner
from salus_web.jobs.selectors import job as job_for
from salus_web.predictions.models import Prediction
from salus_web.predictions.selectors import newest_of_job, prediction_for, standing_of, whose_risk
from salus_web.predictions.services import request as request_risks
from salus_web.predictions.services import request_replay, review
from salus_web.records.selectors import in_care, open_patient, refuse_look
from salus_web.registry.selectors import live_bundle


def _open(request: HttpRequest, prediction_id: UUID, looking_at: str) -> Prediction:
    """The prediction, if the viewer may see its patient; logged. An absent one and a stranger's answer alike."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = prediction_for(viewer=viewer, prediction_id=prediction_id)
    if found is None:
        _refuse(viewer, prediction_id, looking_at)
    open_patient(patient_id=found.patient_id, viewer=viewer, looking_at=looking_at)
    return found


def _refuse(viewer: Actor, prediction_id: UUID, looking_at: str) -> NoReturn:
    whose = whose_risk(prediction_id=prediction_id)
    refuse_look(looking_at=looking_at, kind="prediction", object_id=prediction_id, pseudonym=whose, viewer=viewer)


@declare("patient.read", shows_patient=True)
@require_GET
def prediction(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """One risk and its reasons."""
    return _page(request, _open(request, prediction_id, "prediction"))


def _page(request: HttpRequest, found: Prediction, problem: str = "") -> HttpResponse:
    """The page of a risk; after a judgement that could not be kept, with what was wrong and what was typed."""
    viewer = request.actor  # type: ignore[attr-defined]
    page = prediction_page.page_of(found, viewer, standing=standing_of(viewer=viewer, prediction=found))
    context = {"page": page, "banner": banner(found.patient, viewer), "can_ask": live_bundle(found.task_id) is not None}
    context |= {"problem": problem, "typed": request.POST}
    return render(request, "dashboard/prediction.html", context, status=409 if problem else 200)


@declare("prediction.request", shows_patient=True)
@require_POST
def ask(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Ask for one patient's risk now."""
    viewer, task_id = request.actor, request.POST.get("task", "")  # type: ignore[attr-defined]
    row = open_patient(patient_id=patient_id, viewer=viewer, looking_at="patient")
    bundle = live_bundle(task_id)
    if bundle is None:
        raise BadInput("No model is live for this question, so no risk can be asked for.")
    job = request_risks(patient_ids=[str(row.pk)], bundle=bundle, why="asked for on the patient page", by=viewer)
    return HttpResponseRedirect(f"/patients/{row.pk}/waiting/{job.pk}/")


@declare("patient.read", shows_patient=True)
@require_GET
def waiting(request: HttpRequest, patient_id: UUID, job_id: UUID) -> HttpResponse:
    """While a risk is being computed; goes on to the risk by itself."""
    viewer = request.actor  # type: ignore[attr-defined]
    job = job_for(viewer=viewer, job_id=job_id)
    if job is None or str(patient_id) not in job.payload.get("patient_ids", []):
        raise Hidden("There is no such page.")
    while following := job_for(viewer=viewer, job_id=job.result["asked_anew"]) if "asked_anew" in job.result else None:
        job = following  # its model went off duty, so another was asked
    found = newest_of_job(viewer=viewer, job_id=job.pk, patient_id=patient_id) if job.state == "done" else None
    if "fragment" in request.GET and in_care(viewer=viewer, patient_id=patient_id):
        if found is not None:
            return HttpResponse(headers={"HX-Redirect": f"/predictions/{found.pk}/"})
        return render(request, "dashboard/waiting_part.html", {"job": job})
    row = open_patient(patient_id=patient_id, viewer=viewer, looking_at="patient")
    if found is not None:
        return HttpResponseRedirect(f"/predictions/{found.pk}/")
    return render(request, "dashboard/waiting.html", {"job": job, "banner": banner(row, viewer)})


@declare("prediction.review", shows_patient=True, form_on="/predictions/{prediction_id}/")
@require_POST
def judge(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """Accept or override."""
    found = _open(request, prediction_id, "prediction")
    try:
        review(
            prediction=found, decision=request.POST.get("decision", ""), reason_code=request.POST.get("reason", ""),
            note=request.POST.get("note", "")[:2000], by=request.actor,  # type: ignore[attr-defined]
        )  # fmt: skip
    except (BadInput, StateConflict) as problem:
        return _page(request, found, str(problem))
    messages.info(request, "Your judgement was kept with this risk.")
    return HttpResponseRedirect(f"/predictions/{prediction_id}/#judgement")


@declare("patient.read", shows_patient=True)
@require_POST
def replay(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """Have the risk recomputed from its receipt."""
    found = _open(request, prediction_id, "replay")
    job = request_replay(prediction=found, by=request.actor)  # type: ignore[attr-defined]
    return render(request, "dashboard/replay_part.html", {"prediction": found, "job": job})


@declare("patient.read", shows_patient=True)
@require_GET
def replayed(request: HttpRequest, prediction_id: UUID, job_id: UUID) -> HttpResponse:
    """What the replay found. While it runs nothing is said of the patient, so only leave is asked; its answer may name
    numbers, so that is a look and is logged."""
    viewer = request.actor  # type: ignore[attr-defined]
    found, job = prediction_for(viewer=viewer, prediction_id=prediction_id), job_for(viewer=viewer, job_id=job_id)
    if found is None:
        _refuse(viewer, prediction_id, "replay")
    if job is None or job.payload.get("prediction_id") != str(prediction_id):
        raise Hidden("There is no such page.")
    answer = prediction_page.replay_answer(job)
    if answer:
        open_patient(patient_id=found.patient_id, viewer=viewer, looking_at="replay")
    context = {"prediction": found, "job": job, "answer": answer}
    return render(request, "dashboard/replay_part.html", context)


@declare("patient.read", shows_patient=True)
@require_GET
def receipt(request: HttpRequest, prediction_id: UUID) -> HttpResponse:
    """The receipt as JSON: every input, the model's digest, outputs, reasons."""
    found = _open(request, prediction_id, "receipt")
    if not found.receipt_key:
        raise Hidden("There is no such page.")
    body = vault.get(found.receipt_key, sha256=found.receipt_sha256)
    name = f"receipt-{found.receipt_sha256[:12]}.json"
    return HttpResponse(body, content_type="application/json", headers={"Content-Disposition": f'attachment; filename="{name}"'})
