"""Reading risks for somebody: the work list, one prediction, a patient's history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import F, QuerySet

from salus_web.predictions.models import CurrentRisk, Prediction, Review, RiskMap

PAGE = 25
ORDERS = {
    "risk": F("sort_probability").desc(nulls_last=True),
    "change": F("change").desc(nulls_last=True),
}


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """One page of the work list and whether there is another."""

    rows: list[CurrentRisk]
    page: int
    has_next: bool


def worklist(*, viewer: Any, task_id: str, order: str = "risk", page: int = 1) -> WorklistPage:
    """The viewer's patients by risk or by change, 25 a page (1 query). Other states come after real risks."""
    start = (max(page, 1) - 1) * PAGE
    rows = (
        CurrentRisk.objects.for_actor(viewer)
        .filter(task_id=task_id)
        .select_related("patient", "prediction")
        .order_by(ORDERS.get(order, ORDERS["risk"]), "pk")[start : start + PAGE + 1]
    )
    found = list(rows)
    return WorklistPage(found[:PAGE], max(page, 1), len(found) > PAGE)


def prediction_for(*, viewer: Any, prediction_id: Any) -> Prediction | None:
    """One prediction within the viewer's scope (1 query)."""
    return (
        Prediction.objects.for_actor(viewer)
        .select_related("patient", "patient__site", "bundle", "bundle__task", "previous")
        .filter(pk=prediction_id)
        .first()
    )


def account_of(prediction: Prediction) -> dict[str, Any]:
    """The sealed account: reasons, missing inputs, arms."""
    return orjson.loads(prediction.account_json) if prediction.account_sealed else {}


def maps_of(*, viewer: Any, prediction: Prediction) -> list[RiskMap]:
    """Activation maps of a prediction (1 query)."""
    return list(RiskMap.objects.for_actor(viewer).select_related("instance").filter(prediction=prediction))


def reviews_of(*, viewer: Any, prediction: Prediction) -> list[Review]:
    """What clinicians said of a prediction, newest first (1 query)."""
    rows = Review.objects.for_actor(viewer).select_related("reviewer").filter(prediction=prediction)
    return list(rows.order_by("-reviewed_at"))


def history(*, viewer: Any, patient_id: Any) -> QuerySet[Prediction]:
    """All risks of a patient, newest first."""
    rows = Prediction.objects.for_actor(viewer).select_related("bundle", "bundle__task").filter(patient_id=patient_id)
    return rows.order_by("-created_at")


def current_of(*, viewer: Any, patient_id: Any) -> list[CurrentRisk]:
    """A patient's current risk per task (1 query)."""
    rows = CurrentRisk.objects.for_actor(viewer).select_related("prediction", "prediction__bundle__task")
    return list(rows.filter(patient_id=patient_id))


def trained_on(*, bundle: Any, encounter_ids: list[str], viewer: Any) -> set[str]:
    """Those of these encounters that the bundle was trained on: they have an out-of-fold risk by it (1 query)."""
    rows = Prediction.objects.for_actor(viewer).filter(bundle=bundle, origin="out_of_fold", encounter_id__in=encounter_ids)
    return {str(key) for key in rows.values_list("encounter_id", flat=True)}
