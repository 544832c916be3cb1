"""Reading the log: who looked at a patient, filtered events, the end of the chain. Who may is decided by the caller's view."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet, Sum

from salus_web.audit.models import Checkpoint, Countersign, Event, Head, SavedSearch

PAGE = 50
OUTCOMES = ("done", "refused", "failed", "nothing found")
PURPOSES = ("care", "research", "training", "break-glass")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for; empty means any. `patient` is a pseudonym."""

    person: str = ""
    action: str = ""
    patient: str = ""
    purpose: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before_number: int | None = None


def matching(*, wanted: Wanted) -> QuerySet[Event]:
    """Every line that fits, newest first."""
    rows = Event.objects.order_by("-number")
    same = {
        "actor_id": wanted.person, "action": wanted.action, "patient": wanted.patient, "purpose": wanted.purpose,
        "outcome": wanted.outcome, "at__gte": wanted.since, "at__lt": wanted.until, "number__lt": wanted.before_number,
    }  # fmt: skip
    return rows.filter(**{name: value for name, value in same.items() if value})


def events(*, wanted: Wanted) -> list[Event]:
    """A page of events, newest first, and one more when there is a next page (1 query, by index)."""
    return list(matching(wanted=wanted)[: PAGE + 1])


def who_looked(*, pseudonym: str, since: datetime) -> list[Event]:
    """Looks at one patient by people, newest first (1 query, by index)."""
    rows = Event.objects.filter(patient=pseudonym, at__gte=since).exclude(actor_id__startswith="system:")
    return list(rows.order_by("-number")[:200])


def people_who_looked(*, pseudonym: str, since: datetime) -> int:
    """How many different people had to do with a patient since a moment; a refused try is none (1 query)."""
    rows = Event.objects.filter(patient=pseudonym, at__gte=since).exclude(actor_id__startswith="system:").exclude(outcome="refused")
    return rows.order_by().values("actor_id").distinct().count()


@dataclass(frozen=True, slots=True)
class LogState:
    """How the log stands: its lines, the last checkpoint, and what the witness said last."""

    lines: int
    sequence: int = 0
    size: int = 0
    root: str = ""
    at: datetime | None = None
    witnessed: int = 0
    witnessed_at: datetime | None = None
    refused: str = ""

    @property
    def open_lines(self) -> int:
        """Lines that are not under a checkpoint yet."""
        return self.lines - self.size


def log_state() -> LogState:
    """How the log stands (4 queries)."""
    lines = Head.objects.aggregate(total=Sum("place"))["total"] or 0
    last = Checkpoint.objects.filter(kind="checkpoint").order_by("-pk").values_list("body", flat=True).first()
    body: dict[str, Any] = json.loads(last) if last else {"at": "1970-01-01T00:00:00+00:00", "sequence": 0, "size": 0, "root": ""}
    said = Countersign.objects.order_by("-checkpoint_id")
    signed = said.exclude(body="").first()
    refused = said.filter(body="").values_list("refused", flat=True).first()
    return LogState(
        lines, body["sequence"], body["size"], body["root"], datetime.fromisoformat(body["at"]) if last else None,
        json.loads(signed.body)["sequence"] if signed else 0, signed.at if signed else None, refused or "",
    )  # fmt: skip


_ACTIONS = """WITH RECURSIVE found(action) AS (
    SELECT min(action) FROM audit_event
    UNION ALL SELECT (SELECT min(action) FROM audit_event WHERE action > found.action) FROM found WHERE found.action IS NOT NULL
) SELECT action FROM found WHERE action IS NOT NULL"""


def actions() -> list[str]:
    """Every kind of act that was logged (1 query, one probe of the index per kind however long the log is)."""
    with connection.cursor() as cursor:
        return [row[0] for row in cursor.execute(_ACTIONS).fetchall()]


def saved_searches(*, viewer: Any) -> list[SavedSearch]:
    """The viewer's own saved searches, by name (1 query)."""
    return list(SavedSearch.objects.filter(owner_id=viewer.id).order_by("name"))


def last_done(*, action: str) -> Event | None:
    """The newest line of one kind of act (1 query, by index)."""
    return Event.objects.filter(action=action).order_by("-number").first()


LOOKS_AT_MOST = 5_000


def looks_since(*, since: datetime) -> list[tuple[int, datetime, str, str, str]]:
    """Looks of people at patients in care since a moment, the newest 5,000: line, time, person's id and name, pseudonym (1 query)."""
    rows = Event.objects.filter(at__gte=since, action__endswith=".read", purpose="care", outcome="done").exclude(patient="")
    people = rows.exclude(actor_id__startswith="system:").order_by("-number")
    return list(people.values_list("number", "at", "actor_id", "actor_name", "patient")[:LOOKS_AT_MOST])


def lines_about(*, pseudonym: str, at_most: int) -> list[Event]:
    """Every line about one patient that a person caused, newest first (1 query, by index)."""
    rows = Event.objects.filter(patient=pseudonym).exclude(actor_id__startswith="system:").order_by("-number")
    return list(rows[:at_most])
