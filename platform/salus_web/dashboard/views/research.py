"""The researcher's pages: projects, a cohort with safe counts, releases."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.permissions import can
from salus_web.cohorts.selectors import (
    cohort_for,
    cohorts_of,
    first_cohorts,
    project_for,
    projects_of,
    resting_projects_of,
)
from salus_web.cohorts.services import save_cohort
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.dashboard.pages.cohort import asked_of, choices_of, logged, page_of, shown_in
from salus_web.dashboard.pages.release import page_of as release_page
from salus_web.dashboard.views.asked import as_uuid, page_number
from salus_web.registry.selectors import tasks
from salus_web.releases.models import Release, ReleaseState
from salus_web.releases.selectors import (
    WAITING_SHOWN,
    Agreement,
    agreement_of,
    files_of,
    may_decide,
    may_fetch,
    own_releases,
    release_for,
    report_of,
    waiting_for,
)
from salus_web.releases.services import decide, file_bytes, request_release

RELEASES_PAGE = 25
PROJECTS_PAGE, COHORTS_EACH, COHORTS_PAGE = 10, 10, 25

@declare("cohort.use", audit="projects.list")
@require_GET
def cohorts(request: HttpRequest) -> HttpResponse:
    """My running projects and their cohorts; those that have ended or not begun by name alone."""
    viewer = request.actor  # type: ignore[attr-defined]
    if "project" in request.GET:
        project, rows = cohorts_of(viewer=viewer, project_id=as_uuid(request.GET["project"]))
        kept = Paginator(rows, COHORTS_PAGE).get_page(page_number(request))
        context: dict[str, Any] = {"projects": [(project, kept, False)], "rows": kept, "base": f"?project={project.pk}&page=", "now": now()}
        return render(request, "dashboard/cohorts.html", context)
    page = Paginator(projects_of(viewer=viewer), PROJECTS_PAGE).get_page(page_number(request))
    found = first_cohorts(viewer=viewer, projects=list(page), each=COHORTS_EACH)
    resting = resting_projects_of(viewer=viewer) if page.number == 1 else []
    return render(request, "dashboard/cohorts.html", {"projects": found, "rows": page, "base": "?page=", "resting": resting, "now": now()})


@declare("cohort.use", audit="cohort.read", detail=logged)
@require_GET
def cohort(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """The cohort being built: the form, and what it finds. The figures alone when the form changes."""
    viewer = request.actor  # type: ignore[attr-defined]
    project = project_for(viewer, project_id)
    page = page_of(project, viewer, request.GET)
    if "fragment" in request.GET:
        return render(request, "dashboard/cohort_figures.html", {"page": page})
    context = {"page": page, "choices": choices_of(project, viewer, tasks()), "asked": asked_of(request.GET)}
    return render(request, "dashboard/cohort.html", context)


@declare("cohort.use")
@require_POST
def save(request: HttpRequest, project_id: UUID) -> HttpResponse:
    """Keep the definition on the screen under a name."""
    viewer = request.actor  # type: ignore[attr-defined]
    project = project_for(viewer, project_id)
    kept = save_cohort(project=project, name=request.POST.get("name", ""), definition=shown_in(request.POST), by=viewer)
    messages.info(request, f"The cohort “{kept.name}” is kept: {kept.sentence} A kept cohort never changes.")
    return HttpResponseRedirect("/cohorts/")


@declare("release.request")
@require_POST
def ask_release(request: HttpRequest, cohort_id: UUID) -> HttpResponse:
    """Ask for a cohort's table to be let out."""
    viewer = request.actor  # type: ignore[attr-defined]
    try:
        kept, images = cohort_for(viewer=viewer, cohort_id=cohort_id), request.POST.get("images") == "yes"
        request_release(cohort=kept, purpose=request.POST.get("purpose", ""), with_images=images, by=viewer)
        messages.info(request, "The files are being prepared; then two other people decide.")
    except (BadInput, StateConflict, Refused) as problem:
        if isinstance(problem, Hidden):
            raise
        messages.warning(request, str(problem))
    return HttpResponseRedirect("/releases/")


@declare("release.decide", audit="releases.list")
@require_GET
def releases(request: HttpRequest) -> HttpResponse:
    """Releases of my projects, and those that wait for me."""
    viewer = request.actor  # type: ignore[attr-defined]
    mine = Paginator(own_releases(viewer=viewer) if can(viewer, "cohort.use") else [], RELEASES_PAGE).get_page(page_number(request))
    waiting = waiting_for(viewer=viewer)
    context = {
        "mine": mine, "waiting": waiting[:WAITING_SHOWN], "more_wait": len(waiting) > WAITING_SHOWN,
        "may_ask": can(viewer, "release.request"),
    }  # fmt: skip
    return render(request, "dashboard/releases.html", context)


def _may_decide_now(viewer: Any, found: Release, agreement: Agreement) -> bool:
    """The form is shown only to somebody else than who asked, once, and only while a decision is waited for."""
    waits = found.state == ReleaseState.REQUESTED and str(found.requested_by_id) != viewer.id
    said = any(str(decision.person_id) == viewer.id for decision in agreement.decisions)
    return waits and not said and may_decide(viewer=viewer, release=found)


@declare("release.decide", audit="release.read")
@require_GET
def release(request: HttpRequest, release_id: UUID) -> HttpResponse:
    """One release: what it holds, what was left out, who has agreed, and the decision."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = release_for(viewer=viewer, release_id=release_id)
    agreement = agreement_of(found)
    context = {
        "release": found, "agreement": agreement, "files": files_of(viewer=viewer, release=found),
        "page": release_page(found, report_of(viewer=viewer, release=found)),
        "may_decide": _may_decide_now(viewer, found, agreement), "may_download": may_fetch(viewer=viewer, release=found),
    }  # fmt: skip
    return render(request, "dashboard/release.html", context)


@declare("release.decide", step_up=True)
@require_POST
def decide_release(request: HttpRequest, release_id: UUID) -> HttpResponse:
    """One person's yes or no. The second yes lets the files out."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = release_for(viewer=viewer, release_id=release_id)
    if request.POST.get("decision") not in {"release", "refuse"}:
        raise BadInput("Say whether the files are let out or refused.")
    accept = request.POST["decision"] == "release"
    found = decide(release=found, accept=accept, why=request.POST.get("why", ""), by=viewer)
    said = {
        ReleaseState.RELEASED: "The release was let out.", ReleaseState.REFUSED: "The release was refused.",
    }.get(ReleaseState(found.state), "Your yes is kept. Nothing leaves until somebody else has said yes too.")  # fmt: skip
    messages.info(request, said)
    return HttpResponseRedirect(f"/releases/{release_id}/")


@declare("release.request", step_up=True)
@require_GET
def release_file(request: HttpRequest, release_id: UUID, file_id: UUID) -> HttpResponse:
    """One released file."""
    viewer = request.actor  # type: ignore[attr-defined]
    found = release_for(viewer=viewer, release_id=release_id)
    file = next((file for file in files_of(viewer=viewer, release=found) if file.pk == file_id), None)
    if file is None:
        raise Hidden("There is no such page.")
    body = file_bytes(viewer=viewer, file=file)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, content_type=file.media_type, headers=headers)
