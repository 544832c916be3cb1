"""Reading studies and renditions, always for somebody."""

from __future__ import annotations

from typing import Any

from django.db.models import F

from salus_web.accounts.actors import system
from salus_web.imaging.models import Instance, Rendition

_LOG = system("audit")
NEWEST_FIRST = F("acquired_at").desc(nulls_last=True)


def films_of(*, viewer: Any, patient_id: Any, at_most: int = 60) -> list[Instance]:
    """A patient's images, newest first, those of no known moment last, without those that their table dropped (1 query)."""
    rows = Instance.objects.for_actor(viewer).select_related("series", "series__study").filter(patient_id=patient_id, is_dropped=False)
    return list(rows.order_by(NEWEST_FIRST, "pk")[:at_most])


def rendition_for(*, viewer: Any, instance_id: Any, kind: str) -> Rendition | None:
    """One rendition within the viewer's scope (1 query)."""
    return Rendition.objects.for_actor(viewer).filter(instance_id=instance_id, kind=kind).first()


def whose_image(*, instance_id: Any) -> str:
    """The pseudonym of the patient of an image, for the line of a refused try; empty where there is none (1 query)."""
    rows = Instance.objects.for_actor(_LOG).filter(pk=instance_id)
    return rows.values_list("patient__pseudonym", flat=True).first() or ""


def newest_films(*, viewer: Any, patient_ids: list[Any]) -> dict[Any, Any]:
    """Per patient when the newest image was made (1 query)."""
    rows = Instance.objects.for_actor(viewer).filter(patient_id__in=patient_ids, is_dropped=False, acquired_at__isnull=False).order_by("acquired_at")
    return dict(rows.values_list("patient_id", "acquired_at"))
