"""The auditor's page: the log with its filters, its state, saved searches, exports, and the proof that it is whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from salus_web.accounts.access import declare
from salus_web.accounts.permissions import can
from salus_web.accounts.selectors import person_named, sites_for
from salus_web.audit.search import Found, find
from salus_web.audit.selectors import (
    OUTCOMES,
    PURPOSES,
    Wanted,
    actions,
    log_state,
    machines,
    saved_searches,
)
from salus_web.audit.services import export_package, forget_search, save_search
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden
from salus_web.dashboard.pages.operations.keeping import figures_of
from salus_web.dashboard.views.asked import day_or_moment, whole
from salus_web.jobs.selectors import newest_of_kind
from salus_web.jobs.services import enqueue
from salus_web.records.selectors import person_by_number

FIELDS = ("person", "action", "purpose", "outcome", "patient", "since", "until")


@declare("audit.read", audit="audit.read")
@require_http_methods(["GET", "POST"])
def audit(request: HttpRequest) -> HttpResponse:
    """Lines of the log that fit a search, newest first. A search by record number is posted, so that it stands in no address."""
    viewer, problem = request.actor, ""  # type: ignore[attr-defined]
    asked = _asked(request.POST if request.method == "POST" else request.GET)
    mrn = request.POST.get("mrn", "").strip()
    if mrn:
        asked["patient"] = pseudonym_of(viewer, mrn)
        problem = "" if asked["patient"] else "Nobody at your hospitals has this record number."
    if request.method == "POST" and asked["person"] and not asked["person"].startswith("system:"):
        user = person_named(text=asked["person"])  # the address and a saved search hold the id: a sign-in name may change hands
        problem = problem or ("" if user else "Person: nobody has this sign-in name. The page Access finds it by the name.")
        asked["person"] = str(user.pk) if user else ""
    if request.method == "POST" and not problem:
        return HttpResponseRedirect(f"/audit/?{urlencode({name: value for name, value in asked.items() if value})}")
    state = log_state()
    found = Found([]) if problem else find(wanted=wanted_of(asked, whole(request.GET.get("before", ""))))
    context: dict[str, Any] = {
        "found": found, "asked": asked, "problem": problem, "is_older": "before" in request.GET,
        "query": urlencode({name: value for name, value in asked.items() if value}), "person": _name_of(asked["person"]), "machines": machines(),
        "actions": actions(), "purposes": PURPOSES, "outcomes": OUTCOMES, "state": state, "saved": _saved(viewer),
        "figures": figures_of(state), "may_export": can(viewer, "audit.export"), "last": newest_of_kind(kind="verify_log"),
    }  # fmt: skip
    return render(request, "dashboard/audit.html", context)


def _asked(form: Mapping[str, str]) -> dict[str, str]:
    return {name: form.get(name, "").strip() for name in FIELDS}


def _name_of(person: str) -> str:
    """What the form shows of the person asked for: the sign-in name, or a part of the machine."""
    user = None if not person or person.startswith("system:") else person_named(text=person)
    return user.username if user else person


def _saved(viewer: Any) -> list[tuple[Any, str]]:
    """The viewer's searches, each with its address."""
    rows = saved_searches(viewer=viewer)
    return [(row, urlencode({name: row.wanted[name] for name in FIELDS if name in row.wanted})) for row in rows]


def wanted_of(asked: Mapping[str, str], before: int | None = None) -> Wanted:
    """What a form asks of the log. The end asked for belongs to it: a whole day, or a whole minute. Raises BadInput for what is no moment."""
    since, until = day_or_moment(asked.get("since", "")), day_or_moment(asked.get("until", ""))
    return Wanted(
        **{name: asked.get(name, "") for name in ("person", "action", "patient", "purpose", "outcome")},
        since=_first(since), until=_behind(until), before_number=before,
    )  # fmt: skip


def pseudonym_of(viewer: Any, mrn: str) -> str:
    """The pseudonym that stands in the log for a record number at any of the viewer's hospitals; empty for none. Logged."""
    for site in sites_for(viewer=viewer, action="audit.read"):
        found = person_by_number(viewer=viewer, site_id=site.pk, mrn=mrn)
        if found is not None:
            return found.pseudonym
    return ""


def _first(of: date | datetime | None) -> datetime | None:
    """The first moment of a day, or the moment itself."""
    return of if of is None or isinstance(of, datetime) else datetime.combine(of, time.min, tzinfo=UTC)


def _behind(of: date | datetime | None) -> datetime | None:
    """The first moment after a day, or after a minute."""
    first, step = _first(of), timedelta(minutes=1) if isinstance(of, datetime) else timedelta(days=1)
    return None if first is None or first.year == datetime.max.year else first + step


@declare("audit.export", step_up=True)
@require_POST
def export(request: HttpRequest) -> HttpResponse:
    """The lines of a search with proofs, the keys, and the program that checks them, as a zip."""
    body = export_package(wanted=wanted_of(_asked(request.POST)), by=request.actor)  # type: ignore[attr-defined]
    headers = {"Content-Disposition": 'attachment; filename="audit-lines.zip"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(body, content_type="application/zip", headers=headers)


@declare("audit.read")
@require_POST
def searches(request: HttpRequest) -> HttpResponse:
    """Keep a search of one's own, or delete one."""
    viewer, form = request.actor, request.POST  # type: ignore[attr-defined]
    if form.get("forget"):
        try:
            forget_search(search_id=UUID(form["forget"]), by=viewer)
        except ValueError:
            raise BadInput("Choose one of your searches.") from None
        messages.info(request, "The search was deleted.")
        return HttpResponseRedirect("/audit/")
    asked = {name: value for name, value in _asked(form).items() if value}
    wanted_of(asked)
    row = save_search(name=form.get("name", ""), wanted=asked, by=viewer)
    messages.info(request, f"The search “{row.name}” was kept.")
    return HttpResponseRedirect(f"/audit/?{urlencode(asked)}")


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
