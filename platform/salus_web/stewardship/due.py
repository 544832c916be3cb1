"""Who is due by the rules: the last encounter ended longer ago than a kind of record is kept. Reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, DateTimeField, Exists, Max, OuterRef, QuerySet, Value, When
from django.db.models.functions import Coalesce

from salus_web.common.clock import now
from salus_web.imaging.models import Study
from salus_web.predictions.models import Prediction
from salus_web.records.models import Patient
from salus_web.stewardship.holdings import KEEPER

AT_MOST = 200
FAR = datetime.max.year - 1
_HOLDS_SOME: dict[str, Any] = {"images": Study, "risks": Prediction}


@dataclass(frozen=True, slots=True)
class Due:
    """One person and kind of record, and the end of the person's last encounter."""

    patient: Patient
    kind: str
    last_at: datetime


def people_with_last() -> QuerySet[Any]:
    """Patients with `last_at`, the end of their last encounter. A stay that has not ended lies ahead, so nobody in hospital is
    ever due; a case of a table counts from its moment; whoever was never seen, from when they came in."""
    ahead = Value(now().replace(year=FAR), output_field=DateTimeField())
    open_until = Case(When(encounter__kind="case", then="encounter__starts_at"), When(encounter__isnull=False, then=ahead))
    last = Coalesce(Max(Coalesce("encounter__ends_at", open_until)), "created_at")
    found: QuerySet[Any] = Patient.objects.for_actor(KEEPER).filter(erased_at__isnull=True).annotate(last_at=last)
    return found


def limit_of(years: int) -> datetime:
    """The moment before which the last encounter must have ended."""
    moment = now()
    day = min(moment.day, 28) if moment.month == 2 else moment.day
    return moment.replace(year=moment.year - years, day=day)


def due_at(*, site_id: Any, rules: Mapping[str, int | None]) -> Iterator[Due]:
    """Everybody due at a hospital, the longest due first, at most 200 people a kind (a query per rule). Whose whole record is
    due stands there once."""
    whole: set[Any] = set()
    for kind in ("record", "images", "risks"):
        years = rules.get(kind)
        if years is None:
            continue
        people = people_with_last().filter(site_id=site_id, last_at__lt=limit_of(years))
        if kind in _HOLDS_SOME:
            people = people.filter(Exists(_HOLDS_SOME[kind].objects.for_actor(KEEPER).filter(patient_id=OuterRef("pk"))))
        for patient in people.order_by("last_at", "pk")[:AT_MOST]:
            if patient.pk not in whole:
                yield Due(patient, kind, patient.last_at)
            if kind == "record":
                whole.add(patient.pk)


def is_due(*, patient_id: Any, years: int | None) -> bool:
    """Whether one person is due now (1 query)."""
    return years is not None and people_with_last().filter(pk=patient_id, last_at__lt=limit_of(years)).exists()
