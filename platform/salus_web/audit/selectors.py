"""Reading the log: who looked at a patient, filtered events, the end of the chain. Who may is decided by the caller's view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from salus_web.audit.chain import FIELDS, GENESIS
from salus_web.audit.models import Event, Head

PAGE = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for; empty means any."""

    person: str = ""
    action: str = ""
    patient: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before_number: int | None = None


def events(*, wanted: Wanted) -> list[Event]:
    """A page of events, newest first, and one more when there is a next page (1 query, by index)."""
    rows = Event.objects.order_by("-number")
    if wanted.person:
        rows = rows.filter(actor_id=wanted.person)
    if wanted.action:
        rows = rows.filter(action=wanted.action)
    if wanted.patient:
        rows = rows.filter(patient=wanted.patient)
    if wanted.since:
        rows = rows.filter(at__gte=wanted.since)
    if wanted.until:
        rows = rows.filter(at__lt=wanted.until)
    if wanted.before_number:
        rows = rows.filter(number__lt=wanted.before_number)
    return list(rows[: PAGE + 1])


def who_looked(*, pseudonym: str, since: datetime) -> list[Event]:
    """Looks at one patient by people, newest first (1 query, by index)."""
    rows = Event.objects.filter(patient=pseudonym, at__gte=since).exclude(actor_id__startswith="system:")
    return list(rows.order_by("-number")[:200])


def people_who_looked(*, pseudonym: str, since: datetime) -> int:
    """How many different people had to do with a patient since a moment (1 query)."""
    rows = Event.objects.filter(patient=pseudonym, at__gte=since).exclude(actor_id__startswith="system:")
    return rows.order_by().values("actor_id").distinct().count()


def head() -> tuple[int, str]:
    """Number and digest of the last line (1 query)."""
    found = Head.objects.filter(pk=0).first()
    return (found.number, found.digest) if found else (0, GENESIS)


def every_line() -> Iterator[dict[str, Any]]:
    """All lines in order, for the verifier."""
    return Event.objects.order_by("number").values(*FIELDS, "digest").iterator(chunk_size=2000)


def actions() -> list[str]:
    """Every kind of act that was logged (1 query)."""
    return list(Event.objects.order_by("action").values_list("action", flat=True).distinct())
