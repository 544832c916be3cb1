"""Uploads, jobs and models."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.actors import system
from salus_web.accounts.names import name_of
from salus_web.accounts.permissions import can
from salus_web.accounts.selectors import sites_for
from salus_web.audit.services import Act, record
from salus_web.cohorts.disclosure import safe_count
from salus_web.common import vault
from salus_web.common.encryption import keyed_hash
from salus_web.common.errors import BadInput, Hidden, NoRoom
from salus_web.dashboard.charts.figures import intervals, learning
from salus_web.dashboard.pages.model import ARMS, best_arm, fusion_said, inputs_said, only_arm
from salus_web.dashboard.views.asked import page_number
from salus_web.ingest.selectors import open_uploads
from salus_web.ingest.selectors import uploads as uploads_for
from salus_web.ingest.services import receive
from salus_web.jobs.models import JobState
from salus_web.jobs.selectors import counts, repairs
from salus_web.jobs.selectors import jobs as jobs_for
from salus_web.jobs.services import STOPPABLE, retry, stop
from salus_web.predictions.made_live import ask_everybody
from salus_web.predictions.selectors import due_looks
from salus_web.predictions.services import withdraw_risks
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.selectors import bundle_for, bundles, report_for, report_forms
from salus_web.registry.services import MOVES, move_bundle

PAGE = 25
REPORT_TYPES = {"html": "text/html; charset=utf-8", "pdf": "application/pdf", "json": "application/json"}


@declare("upload.read", audit="uploads.list")
@require_http_methods(["GET", "POST"])
def uploads(request: HttpRequest) -> HttpResponse:
    """The list of uploads, and the door for files."""
    viewer = request.actor  # type: ignore[attr-defined]
    sites = sites_for(viewer=viewer, action="upload.create")
    if request.method == "POST":
        _receive(request, {str(site.pk): site for site in sites})
        return HttpResponseRedirect("/uploads/")
    return render(request, "dashboard/uploads.html", _list(request) | {"sites": sites})


@declare("upload.read")
@require_GET
def upload_rows(request: HttpRequest) -> HttpResponse:
    """The list alone, while files are being read. The page asks again every two seconds, and gets rows, which leave a line in
    the log like the page's, only when something changed."""
    context = _list(request)
    if request.GET.get("seen") == context["mark"]:
        return HttpResponse(status=204)
    record(Act("uploads.list", "page", request.path[:80]), by=request.actor)  # type: ignore[attr-defined]
    return render(request, "dashboard/upload_rows.html", context)


def _list(request: HttpRequest) -> dict[str, Any]:
    """A page of uploads, and the mark by which it is known again. How far a reading has come counts in tenths, so that a long
    one does not fill the log."""
    viewer = request.actor  # type: ignore[attr-defined]
    rows = Paginator(uploads_for(viewer=viewer), PAGE).get_page(page_number(request))
    is_open = open_uploads(viewer=viewer)
    shown = [(str(row.pk), row.state, *((row.job.state, int(row.job.progress * 10)) if row.job else ())) for row in rows]
    mark = keyed_hash(repr((viewer.id, is_open, shown)).encode(), purpose="uploads shown")
    return {"rows": rows, "is_open": is_open, "mark": mark}


def _receive(request: HttpRequest, sites: dict[str, object]) -> None:
    """Each file on its own: one that is refused does not stop the others."""
    site = sites.get(request.POST.get("site", ""))
    files: list[Any] = request.FILES.getlist("files")  # each an Incoming, sealed already: see ingest.door
    if site is None or not files:
        messages.warning(request, "Choose the hospital and at least one file.")
        return
    taken = 0
    for file in files:
        try:
            receive(filename=file.filename or "file", content=file, site=site, by=request.actor)  # type: ignore[attr-defined,arg-type]
            taken += 1
        except (BadInput, NoRoom) as problem:
            messages.warning(request, f"One of the files was not taken in. {problem}")  # a name may name a patient; cookies hold this
    if taken:
        messages.info(request, f"{taken} of {len(files)} file{'' if len(files) == 1 else 's'} came in, to be read now; the list says what became of each.")


@declare("jobs.read")
@require_GET
def jobs(request: HttpRequest) -> HttpResponse:
    """What the workers do."""
    viewer, state = request.actor, request.GET.get("state", "")  # type: ignore[attr-defined]
    rows = Paginator(jobs_for(viewer=viewer, state=state), PAGE).get_page(page_number(request))
    context = {
        "rows": rows, "state": state, "states": JobState.choices, "counts": counts(viewer=viewer), "repairs": repairs(viewer=viewer),
        "may_retry": can(viewer, "jobs.retry"), "may_stop": can(viewer, "jobs.stop"), "stoppable": STOPPABLE,
        "due": due_looks(viewer=viewer),
    }  # fmt: skip
    return render(request, "dashboard/job_rows.html" if "fragment" in request.GET else "dashboard/jobs.html", context)


@declare("jobs.retry")
@require_POST
def retry_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Put a failed job back into the queue."""
    job = retry(job_id=str(job_id), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, f"“{job.title or job.kind}” is queued again.")
    return HttpResponseRedirect("/operations/" if request.POST.get("back") == "operations" else "/jobs/")


@declare("jobs.stop")
@require_POST
def stop_job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Stop a training."""
    job = stop(job_id=str(job_id), by=request.actor)  # type: ignore[attr-defined]
    messages.info(request, f"“{job.title or job.kind}” was stopped. Nothing of it is stored.")
    return HttpResponseRedirect("/jobs/")


@declare("models.read")
@require_GET
def models(request: HttpRequest) -> HttpResponse:
    """Every trained model with its figures."""
    rows = Paginator(bundles(viewer=request.actor), PAGE).get_page(page_number(request))  # type: ignore[attr-defined]
    return render(request, "dashboard/models.html", {"rows": rows})


def _asked_of(moved: ModelBundle) -> str:
    """What follows from a step for those whose risk another model gave or no longer stands."""
    asked, left_out = ask_everybody(bundle=moved, by=system("made live")) if moved.state == BundleState.LIVE else (0, 0)
    said = f" It was asked for a new risk of {asked} patients whose risk another model gave or no longer stands." if asked else ""
    return said + (f" The risks of {left_out} more stand until somebody asks for them." if left_out else "")


@declare("models.read")
@require_http_methods(["GET", "POST"])
def model(request: HttpRequest, bundle_id: UUID) -> HttpResponse:
    """One model: its card, its figures, its history; moving it to another state."""
    viewer = request.actor  # type: ignore[attr-defined]
    bundle = bundle_for(viewer=viewer, bundle_id=bundle_id)
    if bundle is None:
        raise Hidden("There is no such page.")
    if request.method == "POST":
        why = request.POST.get("why", "").strip()
        if not why:
            raise BadInput("Say why the model is moved.")
        with transaction.atomic():
            moved = move_bundle(bundle=bundle, to_state=request.POST.get("to", ""), why=why[:400], by=viewer)
            if moved.state == BundleState.WITHDRAWN:
                withdraw_risks(bundle=moved, by=viewer)
            asked = _asked_of(moved)
        messages.info(request, f"The model was moved; the step is kept with your name.{asked}")
        return HttpResponseRedirect(f"/models/{bundle_id}/")
    arms = bundle.crossval.get("arms", {})
    shown = [(words, arms[key]) for key, words in ARMS if key in arms]
    areas = [(words, *figures["auroc"]) for words, figures in shown if None not in figures["auroc"]]
    chart = intervals(areas, "Area under the ROC curve with its 95 % interval, by arm") if areas else ""
    curves = bundle.crossval.get("tuning_curves", [])
    context = {
        "learning": learning(curves, "Log loss after each pass over the images, by fold") if curves else "",
        "reports": report_forms(viewer=viewer, bundle=bundle), "survival": survival_rows(bundle.crossval),
        "left_out": left_out(bundle.left_out_people), "bundle": bundle, "arms": shown, "chart": chart, "moves": sorted(MOVES[bundle.state]),
        "inputs": inputs_said(bundle.card), "best_arm": best_arm(bundle.crossval), "only_arm": only_arm(bundle.crossval),
        "fusion": fusion_said(bundle.crossval.get("fused_minus_best")), "trainer": name_of(actor_id=bundle.trained_by),
        "may_move": can(viewer, "models.promote"), "steps": bundle.bundlestep_set.order_by("at"),
    }  # fmt: skip
    return render(request, "dashboard/model.html", context)


def left_out(people: int | None) -> str:
    """How many people were not trained on because they do not allow it, as a count that tells of nobody."""
    if people is None:
        return "not recorded: trained before consents were asked"
    shown = safe_count(people)
    if shown is None:
        return "fewer than 11, or nobody, for want of consent"
    return f"about {shown} people who do not allow training"


def survival_rows(crossval: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Per arm the figures of time to an event; empty where the question is yes or no."""
    arms = crossval.get("survival", {}).get("arms", {})
    return [(words, arms[key]) for key, words in ARMS if key in arms]


@declare("models.read", audit="models.report")
@require_GET
def model_report(request: HttpRequest, bundle_id: UUID, form: str) -> HttpResponse:
    """A model's report as a page, a PDF or JSON. The page is served under its own policy, stricter than ours."""
    found = report_for(viewer=request.actor, bundle_id=bundle_id, form=form)  # type: ignore[attr-defined]
    if found is None:
        raise Hidden("There is no such page.")
    answer = HttpResponse(vault.get(found.blob_key, sha256=found.blob_sha256), content_type=REPORT_TYPES[form])
    answer.headers["X-Content-Type-Options"] = "nosniff"
    if form == "html":
        answer.own_policy = f"{found.policy}; frame-ancestors 'none'"  # type: ignore[attr-defined]
    else:
        answer.headers["Content-Disposition"] = f'attachment; filename="model-report.{form}"'
    return answer
