"""Reading the log: who looked at a patient, filtered events, the end of the chain. Who may is decided by the caller's view."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Min, Q, QuerySet

from salus_web.audit.models import Checkpoint, Countersign, Event, Head, SavedSearch, WatchedRecord

PAGE, LOOKED_AT_MOST = 50, 200
OUTCOMES = ("done", "refused", "failed", "nothing found", "withheld", "erased")
NOTHING_SHOWN = ("refused", "withheld", "erased")
PURPOSES = ("care", "emergency", "research", "training")


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


def who_looked(*, pseudonym: str, since: datetime) -> list[Event]:
    """Looks at one patient by people, newest first, one more than are shown (1 query, by index)."""
    return list(_of_people(pseudonym, since).order_by("-at", "-number")[: LOOKED_AT_MOST + 1])


def people_who_looked(*, pseudonym: str, since: datetime) -> int:
    """How many different people had to do with a patient since a moment; a try that showed nothing is none (1 query)."""
    rows = _of_people(pseudonym, since).exclude(outcome__in=NOTHING_SHOWN)
    return rows.order_by().values("actor_id").distinct().count()


def _of_people(pseudonym: str, since: datetime) -> QuerySet[Event]:
    """Without the lines that say that the record is under special watch, which those who care for the patient need not know."""
    rows = Event.objects.filter(patient=pseudonym, at__gte=since).exclude(actor_id__startswith="system:")
    return rows.exclude(action__startswith="watch.")


def who_did(*, action: str, object_ids: Sequence[str], since: datetime) -> set[str]:
    """The ids of whoever did this to one of these objects since a moment (1 query, by the index of the action)."""
    rows = Event.objects.filter(action=action, at__gte=since, object_id__in=list(object_ids), outcome="done")
    return set(rows.order_by().values_list("actor_id", flat=True))


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
    waiting_since: datetime | None = None  # since when the oldest line waits for a checkpoint

    @property
    def open_lines(self) -> int:
        """Lines that are not under a checkpoint yet."""
        return self.lines - self.size


def log_state() -> LogState:
    """How the log stands (5 queries)."""
    ends = dict(Head.objects.values_list("pk", "place"))
    last = Checkpoint.objects.filter(kind="checkpoint").order_by("-pk").values_list("body", flat=True).first()
    body: dict[str, Any] = json.loads(last) if last else {"at": "1970-01-01T00:00:00+00:00", "sequence": 0, "size": 0, "root": ""}
    said = Countersign.objects.order_by("-checkpoint_id")
    signed = said.exclude(body="").first()
    refused = said.filter(body="").values_list("refused", flat=True).first()
    return LogState(
        sum(ends.values()), body["sequence"], body["size"], body["root"], datetime.fromisoformat(body["at"]) if last else None,
        json.loads(signed.body)["sequence"] if signed else 0, signed.at if signed else None, refused or "",
        _waiting_since(ends, {int(stripe): place for stripe, (place, _) in body.get("heads", {}).items()}),
    )  # fmt: skip


def _waiting_since(ends: dict[int, int], covered: dict[int, int]) -> datetime | None:
    """When the oldest line was written that no checkpoint covers: it is the first one in some stripe (1 query, by index)."""
    first = Q(pk__in=())
    for stripe, end in ends.items():
        if end > covered.get(stripe, 0):
            first |= Q(stripe=stripe, place=covered.get(stripe, 0) + 1)
    moment: datetime | None = Event.objects.filter(first).aggregate(at=Min("at"))["at"]
    return moment


_ACTIONS = """WITH RECURSIVE found(action) AS (
    SELECT min(action) FROM audit_event
    UNION ALL SELECT (SELECT min(action) FROM audit_event WHERE action > found.action) FROM found WHERE found.action IS NOT NULL
) SELECT action FROM found WHERE action IS NOT NULL"""
_MACHINES = """WITH RECURSIVE found(id) AS (
    SELECT min(actor_id) FROM audit_event WHERE actor_id > 'system:' AND actor_id < 'system;'
    UNION ALL SELECT (SELECT min(actor_id) FROM audit_event WHERE actor_id > found.id AND actor_id < 'system;')
    FROM found WHERE found.id IS NOT NULL
) SELECT id FROM found WHERE id IS NOT NULL"""


def actions() -> list[str]:
    """Every kind of act that was logged (1 query, one probe of the index per kind however long the log is)."""
    with connection.cursor() as cursor:
        return [row[0] for row in cursor.execute(_ACTIONS).fetchall()]


def machines() -> list[str]:
    """The ids of every named part of the machine that left a line (1 query, one probe of the index for each)."""
    with connection.cursor() as cursor:
        return [row[0] for row in cursor.execute(_MACHINES).fetchall()]


def saved_searches(*, viewer: Any) -> list[SavedSearch]:
    """The viewer's own saved searches, by name (1 query)."""
    return list(SavedSearch.objects.filter(owner_id=viewer.id).order_by("name"))


def last_done(*, action: str) -> Event | None:
    """The newest line of one kind of act (1 query, by index)."""
    return Event.objects.filter(action=action).order_by("-at", "-number").first()


LOOKS_AT_MOST = 20_000
LISTS = ("worklist.read", "patient.list", "search.read")  # a name among others is no look at anybody in particular


def looks_since(*, since: datetime) -> list[tuple[int, datetime, str, str, str, str, str]]:
    """What people opened, or tried to, of single patients since a moment, the newest 20,000: line, time, person's id and name,
    pseudonym, outcome, and the id of what was asked for (1 query)."""
    rows = Event.objects.filter(at__gte=since, action__endswith=".read", purpose__in=("care", "emergency"), outcome__in=("done", "refused"))
    people = rows.exclude(actor_id__startswith="system:").exclude(action__in=LISTS).exclude(object_kind="page")
    named = people.exclude(patient="", outcome="done").order_by("-at", "-number")
    return list(named.values_list("number", "at", "actor_id", "actor_name", "patient", "outcome", "object_id")[:LOOKS_AT_MOST])


def watched(*, pseudonyms: Sequence[str] | None = None) -> dict[str, WatchedRecord]:
    """Records under special watch by pseudonym, of these or all (1 query)."""
    rows = WatchedRecord.objects.order_by("-since")
    return {row.pseudonym: row for row in (rows if pseudonyms is None else rows.filter(pseudonym__in=list(pseudonyms)))}


def lines_under(*, pseudonym: str, actor_id: str, since: datetime, until: datetime) -> list[Event]:
    """What one person did about one patient in a stretch of time, oldest first, at most 2,000 lines (1 query, by index)."""
    rows = Event.objects.filter(patient=pseudonym, actor_id=actor_id, at__gte=since, at__lte=until)
    return list(rows.order_by("number")[:2_000])


def lines_about(*, pseudonym: str, at_most: int) -> list[Event]:
    """Every line about one patient that a person caused, newest first (1 query, by index)."""
    rows = Event.objects.filter(patient=pseudonym).exclude(actor_id__startswith="system:").order_by("-at", "-number")
    return list(rows[:at_most])
