"""Reading emergency accesses: for the one who broke the glass, for the patient's care team, and for those who review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q

from salus_web.access.models import BreakGlass, NoticeSeen, Verdict
from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import Site
from salus_web.accounts.permissions import Resource, authorize, can
from salus_web.accounts.selectors import sites_as
from salus_web.audit.models import Event
from salus_web.audit.selectors import lines_under
from salus_web.audit.services import Act, record, record_many
from salus_web.common.clock import now
from salus_web.common.errors import Hidden
from salus_web.common.fields import text_or_gone
from salus_web.records.models import Patient
from salus_web.records.scopes import cared_for

NOTICE_FOR = timedelta(days=30)
CLOSED_AT_MOST = 30
CARDS_AT_MOST = 100
FIGURES_OVER = timedelta(days=365)
_ACCESS = system("access")


@dataclass(frozen=True, slots=True)
class Card:
    """One emergency access as the board and its own page show it. Names no patient but by the end of the record number."""

    id: Any
    who: str
    user_id: Any
    number_end: str
    site: str
    reason: str
    started_at: datetime
    ends_at: datetime
    is_open: bool
    is_short: bool
    review_by: datetime
    is_overdue: bool
    reviewer: str
    reviewed_at: datetime | None
    verdict: str
    verdict_words: str


@dataclass(frozen=True, slots=True)
class Figures:
    """One person's emergency accesses of the last year: how many, how many wait and are overdue, and the verdicts."""

    who: str
    broken: int
    waiting: int
    overdue: int
    verdicts: list[int]


@dataclass(frozen=True, slots=True)
class Board:
    """Open, to review (the most overdue first), closed (the newest thirty), and the figures of each person. Of each at most a
    hundred; how many there are of the first two, and whether there are more people."""

    open: list[Card]
    review: list[Card]
    closed: list[Card]
    figures: list[Figures]
    open_in_all: int
    review_in_all: int
    more_people: bool


def board(*, viewer: Actor) -> Board:
    """The emergency accesses at the viewer's hospitals (6 queries)."""
    authorize(viewer, "emergency.read", Resource("emergency"))
    sites = _sites(viewer)
    rows, is_open = _all(sites), Q(relation__ends_at__gt=now())
    waits = rows.filter(reviewed_at__isnull=True)
    in_all = waits.aggregate(open=Count("pk", filter=is_open), review=Count("pk", filter=~is_open))
    opened, review = ([_card(row) for row in part.order_by("review_by", "pk")[:CARDS_AT_MOST]] for part in (waits.filter(is_open), waits.exclude(is_open)))
    closed = [_card(row) for row in rows.filter(reviewed_at__isnull=False).order_by("-reviewed_at", "pk")[:CLOSED_AT_MOST]]
    figures = _figures(sites)
    more_people = len(figures) > CARDS_AT_MOST
    return Board(opened, review, closed, figures[:CARDS_AT_MOST], in_all["open"], in_all["review"], more_people)


def _sites(viewer: Actor) -> list[Site]:
    return sites_as(viewer=viewer, roles=["administrator", "auditor"])


def _all(sites: Sequence[Site]) -> Any:
    """Read for the machine: those who review care for nobody. What is shown of it is said by `Card`."""
    rows = BreakGlass.objects.for_actor(_ACCESS).filter(patient__site__in=list(sites))
    return rows.select_related("user", "reviewer", "patient", "patient__site", "relation")


def _card(row: BreakGlass) -> Card:
    moment, ends_at = now(), row.relation.ends_at
    return Card(
        id=row.pk, who=row.user.display_name, user_id=row.user_id, number_end=row.patient.number_end, site=row.patient.site.name,
        reason=row.get_reason_code_display(), started_at=row.started_at, ends_at=ends_at, is_open=ends_at > moment,
        is_short=row.handed_back_at is not None, review_by=row.review_by,
        is_overdue=row.reviewed_at is None and row.review_by <= moment, reviewer=row.reviewer.display_name if row.reviewer else "",
        reviewed_at=row.reviewed_at, verdict=row.verdict, verdict_words=row.get_verdict_display(),
    )  # fmt: skip


def _figures(sites: Sequence[Site]) -> list[Figures]:
    moment = now()
    rows = BreakGlass.objects.for_actor(_ACCESS).filter(patient__site__in=list(sites), started_at__gt=moment - FIGURES_OVER)
    waits = Q(reviewed_at__isnull=True)
    sums = {f"verdict_{at}": Count("pk", filter=Q(verdict=verdict)) for at, verdict in enumerate(Verdict.values)}
    found = rows.values("user_id", "user__display_name").annotate(
        broken=Count("pk"), waiting=Count("pk", filter=waits), overdue=Count("pk", filter=waits & Q(review_by__lte=moment)), **sums
    )
    return [
        Figures(row["user__display_name"], row["broken"], row["waiting"], row["overdue"], [row[name] for name in sums])
        for row in found.order_by("-broken", "user__display_name", "user_id")[: CARDS_AT_MOST + 1]
    ]


@dataclass(frozen=True, slots=True)
class Case:
    """One emergency access whole: what was written, what was read under it, and whether this viewer may judge it now."""

    card: Card
    text: str
    finding: str
    lines: list[Event]
    told: list[tuple[str, datetime]]
    may_review: bool
    relation_id: Any


def case(*, viewer: Actor, glass_id: Any) -> Case:
    """One emergency access of the viewer's hospitals; logged (5 queries and the log). Raises Hidden for any other.

    What the clinician and the reviewer wrote may be clinical, so an administrator is not shown it.
    """
    authorize(viewer, "emergency.read", Resource("emergency", str(glass_id)))
    row = _all(_sites(viewer)).filter(pk=glass_id).first()
    if row is None:
        record(Act("emergency.read", "emergency", str(glass_id), outcome="refused"), by=viewer)
        raise Hidden("There is no such page.", is_logged=True)
    record(Act("emergency.read", "emergency", str(row.pk), row.patient.pseudonym, "emergency"), by=viewer)
    card, judges = _card(row), can(viewer, "emergency.review")
    told = NoticeSeen.objects.filter(glass=row).order_by("seen_at").values_list("user__display_name", "seen_at")
    return Case(
        card, text_or_gone(row, "reason") if judges else "", text_or_gone(row, "finding") if judges else "",
        lines_under(pseudonym=row.patient.pseudonym, actor_id=str(row.user_id), since=row.started_at, until=card.ends_at),
        list(told), judges and not card.is_open and row.reviewed_at is None and str(row.user_id) != viewer.id, row.relation_id,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Own:
    """One of a clinician's own emergency accesses. Once it is over it names no patient: they are not in care."""

    id: Any
    started_at: datetime
    ends_at: datetime
    reason: str
    open_patient_id: Any
    verdict: str
    finding: str
    review_by: datetime


def own(*, viewer: Actor) -> list[Own]:
    """The viewer's own emergency accesses, the newest thirty (1 query)."""
    authorize(viewer, "emergency.break", Resource("emergency"))
    rows = BreakGlass.objects.for_actor(_ACCESS).filter(user_id=viewer.id).select_related("relation").order_by("-started_at", "pk")
    moment = now()
    return [
        Own(
            row.pk, row.started_at, row.relation.ends_at, row.get_reason_code_display(),
            row.patient_id if row.relation.ends_at > moment else None, row.get_verdict_display(),
            text_or_gone(row, "finding"), row.review_by,
        )
        for row in rows[:CLOSED_AT_MOST]
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Broken:
    """An open emergency access as the banner of its patient shows it."""

    id: Any
    who: str
    reason: str
    started_at: datetime
    ends_at: datetime
    is_mine: bool

    @property
    def seconds_left(self) -> int:
        """For the clock of the page."""
        return max(int((self.ends_at - now()).total_seconds()), 0)


def open_on(*, viewer: Actor, patient: Patient) -> list[Broken]:
    """Who has this patient's record open in an emergency now: the viewer, if that is how they came here, or others (1 query)."""
    moment = now()
    rows = BreakGlass.objects.for_actor(viewer).filter(patient=patient, relation__ends_at__gt=moment)
    rows = rows.annotate(cared_for=cared_for(viewer, "patient_id")).select_related("user", "relation").order_by("started_at")
    return [
        Broken(
            row.pk, row.user.display_name, row.get_reason_code_display(), row.started_at, row.relation.ends_at,
            str(row.user_id) == viewer.id and not row.cared_for,
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """What a patient's care team is told: who opened the record, when, why and until when."""

    id: Any
    patient_id: Any
    name: str
    who: str
    reason: str
    started_at: datetime
    ends_at: datetime
    is_open: bool


def notices(*, viewer: Actor) -> list[Notice]:
    """Emergency accesses of the last thirty days to patients in the viewer's care that the viewer has not taken note of.
    Each that is shown is on the log, so that it can be proved who was told (1 query and the log)."""
    moment = now()
    seen = NoticeSeen.objects.filter(glass_id=OuterRef("pk"), user_id=viewer.id)
    rows = BreakGlass.objects.for_actor(viewer).annotate(cared_for=cared_for(viewer, "patient_id"))
    rows = rows.filter(~Exists(seen), cared_for=True, started_at__gt=moment - NOTICE_FOR).exclude(user_id=viewer.id)
    found = list(rows.select_related("user", "relation", "patient").order_by("-started_at", "pk")[:CLOSED_AT_MOST])
    record_many([Act("emergency.notice", "patient", str(row.patient_id), row.patient.pseudonym, "care") for row in found], by=viewer)
    return [
        Notice(
            row.pk, row.patient_id, row.patient.name or "no name recorded", row.user.display_name, row.get_reason_code_display(),
            row.started_at, row.relation.ends_at, row.relation.ends_at > moment,
        )
        for row in found
    ]  # fmt: skip
