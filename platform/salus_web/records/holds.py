"""Which patients a legal hold protects from being erased. Setting and lifting holds is stewardship's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import Q, QuerySet

from salus_web.accounts.actors import system
from salus_web.common.clock import now
from salus_web.records.models import LegalHold

_HOLDS = system("holds")


def standing() -> QuerySet[Any]:
    """Holds that stand now."""
    still = Q(until__isnull=True) | Q(until__gt=now())
    found: QuerySet[Any] = LegalHold.objects.for_actor(_HOLDS).filter(still, lifted_at__isnull=True)
    return found


def live_holds(*, patient_ids: Iterable[Any]) -> list[LegalHold]:
    """The holds that stand on these patients now (1 query)."""
    return list(standing().filter(patient_id__in=list(patient_ids)))
