"""The auditor's page: the log with its filters, and the proof that it is whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.selectors import people, sites_of
from salus_web.audit.selectors import PAGE, Wanted, actions, events, head
from salus_web.common.clock import now
from salus_web.common.errors import Hidden
from salus_web.dashboard.views.asked import day, whole
from salus_web.jobs.selectors import newest_of_kind
from salus_web.jobs.services import enqueue
from salus_web.records.selectors import person_by_number


@declare("audit.read", audit="audit.read")
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """Lines of the log by person, patient, act and time, newest first."""
    viewer, asked = request.actor, request.GET  # type: ignore[attr-defined]
    problem, pseudonym = "", ""
    if asked.get("mrn"):
        pseudonym, problem = _pseudonym(viewer, asked.get("mrn", ""))
    since, until = day(asked.get("since", "")), day(asked.get("until", ""))
    wanted = Wanted(
        person=asked.get("person", ""), action=asked.get("action", ""), patient=pseudonym, since=_start(since),
        until=_start(until + timedelta(days=1) if until and until < date.max else until),
        before_number=whole(asked.get("before", "")),
    )  # fmt: skip
    rows = [] if problem else events(wanted=wanted)
    query = asked.copy()
    query.pop("before", None)
    context: dict[str, Any] = {
        "rows": rows[:PAGE], "next_before": rows[PAGE - 1].number if len(rows) > PAGE else None, "query": query.urlencode(),
        "asked": asked, "people": people(viewer=viewer), "actions": actions(), "head": head(), "problem": problem,
        "last": newest_of_kind(kind="verify_log"),
    }  # fmt: skip
    return render(request, "dashboard/audit.html", context)


def _pseudonym(viewer: Any, mrn: str) -> tuple[str, str]:
    """The pseudonym that stands in the log for a record number, at any of the viewer's hospitals."""
    for site in sites_of(viewer=viewer):
        found = person_by_number(viewer=viewer, site_id=site.pk, mrn=mrn)
        if found is not None:
            return found.pseudonym, ""
    return "", "Nobody at your hospitals has this record number."


def _start(of: date | None) -> datetime | None:
    """The first moment of a day."""
    return datetime.combine(of, time.min, tzinfo=UTC) if of else None


@declare("audit.verify", audit="audit.verify")
@require_POST
def verify(request: HttpRequest) -> HttpResponse:
    """Have the log walked from its first line."""
    job = enqueue(
        kind="verify_log", unique_key=f"verify:{now().isoformat()}", payload={}, title="Verifying the audit log",
        by=request.actor,  # type: ignore[attr-defined]
    )  # fmt: skip
    return render(request, "dashboard/verify_part.html", {"job": job})


@declare("audit.verify")
@require_GET
def verified(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """What the walk found so far."""
    job = newest_of_kind(kind="verify_log", job_id=job_id)
    if job is None:
        raise Hidden("There is no such page.")
    return render(request, "dashboard/verify_part.html", {"job": job})
