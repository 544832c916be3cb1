"""Looks worth a second look, and the records under special watch. For auditors and administrators; nothing clinical."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.audit.models import WatchReason
from salus_web.audit.services import unwatch_record, watch_record
from salus_web.common.errors import BadInput, Hidden
from salus_web.dashboard.pages.odd_looks import odd_page, watched_here
from salus_web.dashboard.views.audit import pseudonym_of


@declare("audit.read", audit="audit.odd")
@require_GET
def odd(request: HttpRequest) -> HttpResponse:
    """The oddest looks of the last days with their reasons, and what is watched."""
    viewer = request.actor  # type: ignore[attr-defined]
    context = {"page": odd_page(viewer=viewer), "watched": watched_here(viewer=viewer), "reasons": WatchReason.choices}
    return render(request, "dashboard/odd.html", context)


@declare("audit.read", step_up=True)
@require_POST
def watch(request: HttpRequest) -> HttpResponse:
    """Put a record under special watch by its number, or end that by its pseudonym."""
    viewer, form = request.actor, request.POST  # type: ignore[attr-defined]
    ended = form.get("end", "")
    if ended:
        if ended not in {row.pseudonym for row, _ in watched_here(viewer=viewer)}:
            raise Hidden("There is no such page.")
        unwatch_record(pseudonym=ended, by=viewer)
        messages.info(request, "The record is no longer watched.")
        return HttpResponseRedirect("/audit/odd/")
    if not form.get("mrn", "").strip():
        raise BadInput("Give the record number.")
    found = pseudonym_of(viewer, form["mrn"].strip())
    if not found:
        raise BadInput("Nobody at your hospitals has this record number.")
    watch_record(pseudonym=found, why=form.get("why", ""), by=viewer)
    messages.info(request, "The record is under special watch. Looks at it are shown here; nobody else sees that it is.")
    return HttpResponseRedirect("/audit/odd/")
