"""The operations page: whether everything that should run does, for administrators."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from salus_web.accounts.access import declare
from salus_web.accounts.permissions import can
from salus_web.dashboard.pages.operations.page import operations as gather


@declare("operations.read", audit="operations.read")
@require_GET
def operations(request: HttpRequest) -> HttpResponse:
    """Workers, queues, disk, log, backups, keys, versions."""
    viewer = request.actor  # type: ignore[attr-defined]
    context = {"page": gather(viewer=viewer), "may_retry": can(viewer, "jobs.retry")}
    return render(request, "dashboard/operations.html", context)
