"""Reading risks for somebody: the work list, one prediction, a patient's history."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from django.db.models import Count, F, Max, QuerySet

from salus_web.common import vault
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState, Review, RiskMap
from salus_web.registry.models import TaskFile

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


def tasks_in_scope(*, viewer: Any) -> list[tuple[str, str, int]]:
    """(task id, title, number of patients) of the tasks that the viewer's patients have risks for (2 queries)."""
    rows = CurrentRisk.objects.for_actor(viewer).values_list("task_id").annotate(Count("pk")).order_by("task_id")
    numbers: dict[str, int] = dict(rows)
    titles: dict[str, str] = dict(TaskFile.objects.filter(task_id__in=numbers).order_by("loaded_at").values_list("task_id", "title"))
    return [(key, titles.get(key) or key, number) for key, number in numbers.items()]


def state_counts(*, viewer: Any, task_id: str) -> dict[str, int]:
    """How many of the viewer's patients are in each state (1 query)."""
    rows = CurrentRisk.objects.for_actor(viewer).filter(task_id=task_id)
    return dict(rows.values_list("state").annotate(Count("pk")).order_by())


def last_update(*, viewer: Any, task_id: str) -> Any:
    """When a risk of the list last changed (1 query)."""
    return CurrentRisk.objects.for_actor(viewer).filter(task_id=task_id).aggregate(Max("updated_at"))["updated_at__max"]


def recent_of_many(*, viewer: Any, patient_ids: list[Any], task_id: str) -> dict[Any, list[Prediction]]:
    """Per patient the risks of a task, oldest first (1 query)."""
    rows = Prediction.objects.for_actor(viewer).filter(patient_id__in=patient_ids, task_id=task_id).order_by("created_at")
    found: dict[Any, list[Prediction]] = {}
    for row in rows.only("patient_id", "state", "probability", "low", "high", "created_at"):
        found.setdefault(row.patient_id, []).append(row)
    return found


def map_cells(found: RiskMap) -> list[list[float]]:
    """A stored map's cells, percentage points; IntegrityBroken when the file was changed."""
    raw = vault.get(found.blob_key, sha256=found.blob_sha256)
    return np.load(io.BytesIO(raw), allow_pickle=False).tolist()


def ids_in_scope(*, viewer: Any, task_id: str, at_most: int) -> list[str]:
    """The viewer's patients who have a risk of this task (1 query)."""
    rows = CurrentRisk.objects.for_actor(viewer).filter(task_id=task_id).order_by("pk")
    return [str(key) for key in rows.values_list("patient_id", flat=True)[:at_most]]


def is_stale(*, viewer: Any, prediction: Prediction) -> bool:
    """Whether this is the patient's current risk and data has come since (1 query)."""
    rows = CurrentRisk.objects.for_actor(viewer).filter(prediction=prediction)
    return rows.filter(state=PredictionState.STALE).exists()


def newest_of_job(*, viewer: Any, job_id: Any, patient_id: Any) -> Prediction | None:
    """The risk a job gave a patient (1 query)."""
    rows = Prediction.objects.for_actor(viewer).filter(job_id=job_id, patient_id=patient_id)
    return rows.order_by("-index_at").first()
