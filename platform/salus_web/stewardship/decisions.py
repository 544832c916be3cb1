"""Reading what waits for a second person and what was decided: erasures and retention runs, of the viewer's own hospitals."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from salus_web.accounts.actors import Actor
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.common.errors import Hidden
from salus_web.records.holds import live_holds
from salus_web.records.models import LegalHold
from salus_web.stewardship.holdings import KEEPER
from salus_web.stewardship.models import Decision, Erasure, RetentionItem, RetentionRun
from salus_web.stewardship.selectors import OPEN_SHOWN, RECENT, Named, name_of


def erasures(*, viewer: Actor) -> tuple[list[Named], int]:
    """Erasures that wait for a second person, the hundred oldest first, then the twenty others asked for last; and how many wait
    in all (3 queries)."""
    authorize(viewer, "keeping.read", Resource("erasure"))
    rows = Erasure.objects.for_actor(KEEPER).filter(where_allowed(viewer, "keeping.read", "patient__site_id")).select_related("patient", "patient__site")
    waiting, decided = rows.filter(state=Decision.WAITING), rows.exclude(state=Decision.WAITING)
    shown = [*waiting.order_by("asked_at", "pk")[:OPEN_SHOWN], *decided.order_by("-asked_at", "pk")[:RECENT]]
    return [Named(row, name_of(row.patient)) for row in shown], waiting.count()


def erasure_for(*, viewer: Actor, erasure_id: UUID) -> Named:
    """One erasure at the viewer's hospitals (1 query). Hidden for others, as for none."""
    authorize(viewer, "keeping.read", Resource("erasure", str(erasure_id)))
    rows = Erasure.objects.for_actor(KEEPER).filter(where_allowed(viewer, "keeping.read", "patient__site_id"), pk=erasure_id)
    row = rows.select_related("patient", "patient__site").first()
    if row is None:
        raise Hidden("There is no such page.")
    return Named(row, name_of(row.patient))


def holds_on(*, viewer: Actor, patient_id: Any) -> list[LegalHold]:
    """The holds that stop an erasure now (1 query)."""
    authorize(viewer, "keeping.read", Resource("hold"))
    return live_holds(patient_ids=[patient_id])


def runs(*, viewer: Actor) -> list[RetentionRun]:
    """Retention runs at the viewer's hospitals, the newest first (1 query)."""
    authorize(viewer, "keeping.read", Resource("run"))
    rows = RetentionRun.objects.select_related("site").filter(where_allowed(viewer, "keeping.read"))
    return list(rows.order_by("-asked_at")[:RECENT])


def run_for(*, viewer: Actor, run_id: UUID) -> RetentionRun:
    """One run (1 query). Hidden for one of another hospital, as for none."""
    authorize(viewer, "keeping.read", Resource("run", str(run_id)))
    row = RetentionRun.objects.select_related("site", "job").filter(where_allowed(viewer, "keeping.read"), pk=run_id).first()
    if row is None:
        raise Hidden("There is no such page.")
    return row


def items_of(*, viewer: Actor, run: RetentionRun) -> list[Named]:
    """What a run lists, held ones first, with why each is held now (2 queries)."""
    run_for(viewer=viewer, run_id=run.pk)
    rows = list(RetentionItem.objects.for_actor(KEEPER).filter(run=run).select_related("patient").order_by("-held", "last_at", "pk"))
    reasons = {hold.patient_id: hold.reason for hold in live_holds(patient_ids=[row.patient_id for row in rows if row.held])}
    held = "a hold that stood when this was listed; it does not stand now"
    return [Named(row, name_of(row.patient), reasons.get(row.patient_id, held) if row.held else "") for row in rows]
