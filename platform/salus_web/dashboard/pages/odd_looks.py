"""What the rules of audit.odd need to know: the looks of the last days, care relations then, records under watch,
and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import where_allowed
from salus_web.audit.models import WatchedRecord
from salus_web.audit.odd import Look, Mark, Odd, rank, under_watch
from salus_web.audit.selectors import LOOKS_AT_MOST, looks_since, watched
from salus_web.common.clock import now
from salus_web.dashboard.pages.care_history import care_history
from salus_web.dashboard.pages.odd_names import Names
from salus_web.records.models import Patient

DAYS, ROWS = 7, 50
# twenty thousand looks take a second to go through, so that where there are many what was found is shown for a minute
MANY_LOOKS, KEPT_FOR = 2_000, timedelta(seconds=60)
_AUDIT = system("audit")


@dataclass(frozen=True, slots=True)
class OddPage:
    """The oddest looks first; whether there were more than could be gone through, and back to when they reach."""

    rows: list[Odd]
    looks: int
    is_cut: bool
    since: datetime
    at: datetime


_kept: dict[Any, OddPage] = {}  # the last, by the database and what is watched in it: a new watch shows at once


def odd_looks(*, viewer: Actor) -> list[Odd]:
    """The oddest looks of the last seven days, at most 50."""
    return odd_page(viewer=viewer).rows


def odd_page(*, viewer: Actor) -> OddPage:
    """The same with how much was gone through; where there are many looks, as of at most a minute ago."""
    authorize(viewer, "audit.read", Resource("log"))
    moment, under = now(), watched()
    key = (str(connection.settings_dict["NAME"]), frozenset((pseudonym, row.why) for pseudonym, row in under.items()))
    kept = _kept.get(key)
    if kept is None or not timedelta(0) <= moment - kept.at < KEPT_FOR:
        kept = _search(moment, under)
        _kept.clear()
        if kept.looks >= MANY_LOOKS:
            _kept[key] = kept
    return kept


def _search(moment: datetime, under: Mapping[str, WatchedRecord]) -> OddPage:
    """Go through the looks (7 queries for up to 5,000 patients, one more for each 5,000 further)."""
    since = moment - timedelta(days=DAYS)
    looks = [
        Look(number, at, actor, name, patient, outcome == "refused", object_id)
        for number, at, actor, name, patient, outcome, object_id in looks_since(since=since)
    ]
    patients, people = {look.patient for look in looks if look.patient}, {look.actor_id for look in looks}
    history = care_history(patients=patients, people=people)
    names = Names({(look.actor_id, look.actor_name) for look in looks}, history.pseudonyms)

    def marks(look: Look) -> Sequence[Mark]:
        row = under.get(look.patient)
        return [*names.marks(look), *([under_watch(row.get_why_display())] if row else [])]

    found = rank(
        looks,
        has_relation=lambda look: history.relation(actor_id=look.actor_id, patient=look.patient, at=look.at) is not None,
        shares_surname=names.shares_surname,
        marks=marks,
        zone=settings.SALUS_HOSPITAL_ZONE,
    )
    is_cut = len(looks) == LOOKS_AT_MOST
    return OddPage(found[:ROWS], len(looks), is_cut, min((look.at for look in looks), default=since) if is_cut else since, moment)


def watched_here(*, viewer: Actor) -> list[tuple[Any, str]]:
    """Records under watch of the viewer's hospitals, each with the end of its record number (2 queries)."""
    authorize(viewer, "audit.read", Resource("log"))
    under = watched()
    theirs = Patient.objects.for_actor(_AUDIT).filter(where_allowed(viewer, "audit.read"), pseudonym__in=list(under))
    ends = {patient.pseudonym: patient.mrn[-4:] for patient in theirs}
    return [(row, ends[pseudonym]) for pseudonym, row in under.items() if pseudonym in ends]
