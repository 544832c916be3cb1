"""What an administrator sees of keeping and erasing: record numbers' ends, never anything clinical, of their own hospitals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from salus_web.accounts.actors import Actor
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.common.errors import Hidden
from salus_web.common.keyring import KeyGone
from salus_web.records.holds import standing
from salus_web.records.models import LegalHold, Patient
from salus_web.stewardship.follow_ups import WHY
from salus_web.stewardship.holdings import KEEPER
from salus_web.stewardship.models import FollowUp

OPEN_SHOWN, RECENT = 100, 20


@dataclass(frozen=True, slots=True)
class Named:
    """A row and whom it is about, as an administrator may read it."""

    row: Any
    who: str
    words: str = ""


def name_of(patient: Patient) -> str:
    """The end of the record number; of an erased person the beginning of the pseudonym."""
    try:
        return f"record ••••{patient.mrn[-4:]}" if patient.erased_at is None else f"erased person {patient.pseudonym[:8]}"
    except KeyGone:
        return f"erased person {patient.pseudonym[:8]}"


def follow_ups(*, viewer: Actor) -> tuple[list[Named], int]:
    """What is still to be done, the hundred oldest first, then the twenty done last; and how many are to be done in all
    (3 queries)."""
    authorize(viewer, "keeping.read", Resource("follow-up"))
    rows = FollowUp.objects.for_actor(KEEPER).filter(where_allowed(viewer, "keeping.read", "patient__site_id")).select_related("patient", "patient__site")
    to_do, done = rows.filter(done_at__isnull=True), rows.filter(done_at__isnull=False)
    shown = [*to_do.order_by("found_at", "pk")[:OPEN_SHOWN], *done.order_by("-done_at", "pk")[:RECENT]]
    return [Named(row, name_of(row.patient), WHY.get(row.why, row.why)) for row in shown], to_do.count()


def holds(*, viewer: Actor) -> QuerySet[Any]:
    """Legal holds that stand now, the newest first, for a list with pages (2 queries)."""
    authorize(viewer, "keeping.read", Resource("hold"))
    return standing().filter(where_allowed(viewer, "keeping.read", "patient__site_id")).select_related("patient", "patient__site").order_by("-set_at", "pk")


def hold_for(*, viewer: Actor, hold_id: UUID) -> LegalHold:
    """One hold on a patient of the viewer's hospitals (1 query). Hidden for others, as for none."""
    authorize(viewer, "keeping.change", Resource("hold", str(hold_id)))
    rows = LegalHold.objects.for_actor(KEEPER).filter(where_allowed(viewer, "keeping.change", "patient__site_id"), pk=hold_id)
    row: LegalHold | None = rows.select_related("patient").first()
    if row is None:
        raise Hidden("There is no such page.")
    return row
