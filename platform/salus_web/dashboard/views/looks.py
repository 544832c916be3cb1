"""Who looked at one record: found by its number, as a page and on paper. For administrators and auditors; nothing clinical."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.common.errors import BadInput
from salus_web.dashboard.pages.looks import report_of
from salus_web.dashboard.pages.looks_paper import paper_of
from salus_web.dashboard.views.audit import pseudonym_of


@declare("audit.report")
@require_POST
def find(request: HttpRequest) -> HttpResponse:
    """From a record number to its report. The number stands in no address."""
    found = pseudonym_of(request.actor, request.POST.get("mrn", ""))  # type: ignore[attr-defined]
    if not found:
        raise BadInput("Nobody at your hospitals has this record number.")
    return HttpResponseRedirect(f"/audit/looked/{found}/")


@declare("audit.report")
@require_GET
def report(request: HttpRequest, pseudonym: str) -> HttpResponse:
    """The report as a page."""
    found = report_of(pseudonym=pseudonym, viewer=request.actor)  # type: ignore[attr-defined]
    return render(request, "dashboard/looks.html", {"report": found})


@declare("audit.report", step_up=True)
@require_GET
def paper(request: HttpRequest, pseudonym: str) -> HttpResponse:
    """The report as a PDF."""
    viewer = request.actor  # type: ignore[attr-defined]
    body = paper_of(report_of(pseudonym=pseudonym, viewer=viewer), made_by=viewer.name)
    disposition = {"Content-Disposition": 'attachment; filename="who-looked.pdf"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, content_type="application/pdf", headers=disposition)
