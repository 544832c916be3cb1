"""Addresses for programs, read only: the same selectors as the pages, for the person of the token."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest

from salus_web.accounts.api import declare_api
from salus_web.cohorts.selectors import first_cohorts, projects_of
from salus_web.dashboard.pages.worklist_rows import rows_of
from salus_web.dashboard.views.asked import page_number
from salus_web.ingest.selectors import uploads as uploads_for

PAGE, COHORTS_EACH = 50, 200


@declare_api("patient.read", purpose="care", audit="api.worklist.read", shows_patient=True)
def worklist(request: HttpRequest) -> dict[str, Any]:
    """The person's work list, 25 a page: `?task=` and `?page=`. Only a computed risk has a number. A task that is asked for is
    answered or nothing is: never another one in its place."""
    viewer = request.actor  # type: ignore[attr-defined]
    return rows_of(viewer, task_id=request.GET.get("task", ""), page=page_number(request))


@declare_api("cohort.use", purpose="research", audit="api.projects.read")
def projects(request: HttpRequest) -> dict[str, Any]:
    """The person's running projects, 50 a page, and the names of their kept cohorts, the first 200 of each; no counts, which
    pass the gate on their page."""
    viewer = request.actor  # type: ignore[attr-defined]
    rows = Paginator(projects_of(viewer=viewer), PAGE).get_page(page_number(request))
    return {
        "projects": [
            {"id": str(row.pk), "name": row.name, "cohorts": [{"id": str(one.pk), "name": one.name} for one in kept], "more_cohorts": more}
            for row, kept, more in first_cohorts(viewer=viewer, projects=list(rows), each=COHORTS_EACH)
        ],
        "page": rows.number, "has_next": rows.has_next(),
    }  # fmt: skip


@declare_api("upload.read", purpose="integration", audit="api.uploads.read")
def uploads(request: HttpRequest) -> dict[str, Any]:
    """What came in and how it was read, newest first, 50 a page; no file names, which may name a patient."""
    rows = Paginator(uploads_for(viewer=request.actor), PAGE).get_page(page_number(request))  # type: ignore[attr-defined]
    return {
        "uploads": [
            {
                "id": str(row.pk), "state": row.state, "sha256": row.blob_sha256, "bytes": row.blob_bytes, "counts": row.counts,
                "received_at": row.received_at.isoformat(), "finished_at": row.finished_at.isoformat() if row.finished_at else None,
            }
            for row in rows
        ],
        "page": rows.number, "has_next": rows.has_next(),
    }  # fmt: skip
