"""The clinician's pages: work list, search, one patient, films."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from salus_web.access.selectors import notices
from salus_web.accounts.access import declare
from salus_web.audit.selectors import LOOKED_AT_MOST, who_looked
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.dashboard.pages import patient as patient_page
from salus_web.dashboard.pages import worklist as worklist_page
from salus_web.dashboard.pages.banner import banner
from salus_web.dashboard.pages.looks import said_of
from salus_web.dashboard.views import searches
from salus_web.dashboard.views.asked import moment, page_number
from salus_web.imaging.selectors import rendition_for, whose_image
from salus_web.predictions.selectors import ids_in_scope, last_update
from salus_web.predictions.services import request as request_risks
from salus_web.records.selectors import FOUND_AT_MOST, my_patients, open_patient, refuse_look, search_patients
from salus_web.registry.selectors import live_bundle

ORDERS = (("risk", "by risk"), ("change", "by change"))
BULK_AT_MOST = 500
WORDS_AT_MOST = 20


@declare("patient.read", shows_patient=True)
@require_GET
def worklist(request: HttpRequest) -> HttpResponse:
    """My patients. The page asks again every ten seconds and gets rows only when something changed."""
    viewer = request.actor  # type: ignore[attr-defined]
    task, order = request.GET.get("task", ""), request.GET.get("order", "risk")
    since = request.GET.get("since")
    if since is not None:
        seen, newest = moment(since), last_update(viewer=viewer, task_id=task)
        if newest is None or (seen is not None and newest <= seen):
            return HttpResponse(status=204)
    page = worklist_page.page_of(viewer, task_id=task, order=order, page=page_number(request))
    context = {"page": page, "orders": ORDERS, "is_live": live_bundle(page.task_id) is not None}
    if since is not None:
        return render(request, "dashboard/worklist_changed.html", context)
    return render(request, "dashboard/worklist.html", context | {"notices": notices(viewer=viewer)})


@declare("prediction.request")
@require_POST
def ask_for_all(request: HttpRequest) -> HttpResponse:
    """Ask for new risks of every patient on my list."""
    viewer, task_id = request.actor, request.POST.get("task", "")  # type: ignore[attr-defined]
    bundle = live_bundle(task_id)
    if bundle is None:
        raise BadInput("No model is live for this question, so no risk can be asked for.")
    found = ids_in_scope(viewer=viewer, task_id=task_id, at_most=BULK_AT_MOST + 1)
    ids, left_out = found[:BULK_AT_MOST], len(found) > BULK_AT_MOST
    request_risks(patient_ids=ids, bundle=bundle, why="asked for the work list", by=viewer)
    if left_out:
        messages.warning(
            request,
            f"New risks were asked for the {len(ids)} patients of this list whose risk has stood longest. The others were left out: "
            "ask again once these have come.",
        )
    else:
        messages.info(request, f"New risks of {len(ids)} patients were asked for. They appear here by themselves.")
    return HttpResponseRedirect(f"/worklist/?task={task_id}")


@declare("patient.search", shows_patient=True)
@require_http_methods(["GET", "POST"])
def patients(request: HttpRequest) -> HttpResponse:
    """My patients, or those that a search finds among them. What is searched for is a name or a record number: it is posted,
    because addresses are kept by browsers, proxies and their logs. What was found has an address that names nobody, so that
    Back leads to it; going back is a look as well."""
    viewer, token, page = request.actor, request.GET.get("found", ""), page_number(request)  # type: ignore[attr-defined]
    if request.method == "POST":
        return _search(request, request.POST.get("q", "").strip())
    text = searches.kept(request, token)
    if token and not text:
        messages.info(request, "That search is over. Please search again.")
    found = search_patients(viewer=viewer, text=text) if text else my_patients(viewer=viewer, page=page)
    if text and len(found) == 1:
        return HttpResponseRedirect(f"/patients/{found[0].pk}/")
    at_once = FOUND_AT_MOST if text else 25
    context = {"found": found[:at_once], "text": text, "number": page, "has_more": len(found) > at_once}
    return render(request, "dashboard/patients.html", context)


def _search(request: HttpRequest, text: str) -> HttpResponse:
    """From the words to the page of what they find."""
    if len(text.split()) > WORDS_AT_MOST:
        raise BadInput(f"Search for at most {WORDS_AT_MOST} words.")
    return HttpResponseRedirect(f"/patients/?found={searches.keep(request, text)}" if text else "/patients/")


@declare("patient.read", shows_patient=True)
@require_GET
def patient(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """One patient."""
    viewer = request.actor  # type: ignore[attr-defined]
    row = open_patient(patient_id=patient_id, viewer=viewer, looking_at="patient")
    page = patient_page.page_of(row, viewer, span=request.GET.get("span", "3d"))
    return render(request, "dashboard/patient.html", {"page": page, "banner": banner(row, viewer)})


@declare("patient.read", shows_patient=True)
@require_GET
def looked(request: HttpRequest, patient_id: UUID) -> HttpResponse:
    """Who looked at this patient in the last 30 days."""
    viewer = request.actor  # type: ignore[attr-defined]
    row = open_patient(patient_id=patient_id, viewer=viewer, looking_at="who_looked")
    looks = who_looked(pseudonym=row.pseudonym, since=now() - timedelta(days=30))
    shown = [(look, said_of(look.action)) for look in looks[:LOOKED_AT_MOST]]
    return render(request, "dashboard/looked.html", {"looks": shown, "has_more": len(looks) > LOOKED_AT_MOST, "banner": banner(row, viewer)})


@declare("patient.read", shows_patient=True)
@require_GET
def film(request: HttpRequest, instance_id: UUID, kind: str) -> HttpResponse:
    """One rendition of one image as PNG."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = rendition_for(viewer=viewer, instance_id=instance_id, kind=kind)
    if found is None:
        whose = whose_image(instance_id=instance_id)
        refuse_look(looking_at="image", kind="image", object_id=instance_id, pseudonym=whose, viewer=viewer)
    open_patient(patient_id=found.patient_id, viewer=viewer, looking_at="image")
    body = vault.get(found.blob_key, sha256=found.blob_sha256)
    return HttpResponse(body, content_type="image/png", headers={"X-Content-Type-Options": "nosniff"})
