"""Reading risks for somebody: the work list, one prediction, a patient's history."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.db.models import Max, Min, QuerySet, Sum

from salus_web.accounts.actors import system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.predictions.models import CurrentRisk, DueMoment, Prediction, PredictionState, Review, RiskMap
from salus_web.records.scopes import few_in_care
from salus_web.registry.models import BundlePerson, BundleState, ModelBundle
from salus_web.registry.selectors import titles

_LOG = system("audit")
PAGE = 25
COUNTED_TO = 500
ORDERS = {
    "risk": "sort_key",
    "change": "change_key",
}


@dataclass(frozen=True, slots=True)
class Worklist:
    """One page of the work list: what can be asked (task id, title, patients), the counts by state (to 500), the rows,
    and when one of the list last changed."""

    tasks: list[tuple[str, str, int]]
    task_id: str
    rows: list[CurrentRisk]
    page: int
    has_next: bool
    counts: dict[str, int]
    updated: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a risk stands among those of its patient and question: data changed since; a later risk took its place; and the one
    that is the patient's risk now, where it is another."""

    is_stale: bool
    is_superseded: bool
    other: Prediction | None


@dataclass(frozen=True, slots=True)
class DueLooks:
    """When stays were last looked through for those that have come to their index moment, for every live model that waits for
    some; how many risks were asked for so, and when last."""

    last_at: datetime
    asked: int
    last_asked_at: datetime | None

    @property
    def is_overdue(self) -> bool:
        """Nobody has looked for five minutes (it is looked every minute)."""
        return now() - self.last_at > timedelta(minutes=5)


def worklist(*, viewer: Any, task_id: str, order: str = "risk", page: int = 1) -> Worklist:
    """The viewer's patients by risk or by change, 25 a page; other states come after real risks.

    4 queries for a person with up to 500 patients, whatever the size of the hospital; for somebody who cares for more,
    about 10 that are answered by an index in the order asked for.
    """
    few = few_in_care(viewer)
    find = _of_many if few is None else _of_few
    return find(CurrentRisk.objects.for_actor(viewer), few or [], _told_apart(titles()), task_id, ORDERS.get(order, "sort_key"), max(page, 1))


def _told_apart(called: dict[str, str]) -> dict[str, str]:
    """Titles by task id, with the id where two questions have one title."""
    twice = {title for title, times in Counter(called.values()).items() if times > 1}
    return {task: f"{title} ({task})" if title in twice else title for task, title in called.items()}


def _of_few(rows: Any, few: list[Any], called: dict[str, str], asked: str, key: str, page: int) -> Worklist:
    """Everything about a few hundred patients in one query, ordered here."""
    flat = list(rows.filter(patient_id__in=few).values("pk", "task_id", "state", "updated_at", key))
    sizes = Counter(entry["task_id"] for entry in flat)
    tasks = [(task, called.get(task) or task, number) for task, number in sorted(sizes.items())]
    task_id = asked if asked in sizes else (tasks[0][0] if tasks else "")
    mine = sorted((e for e in flat if e["task_id"] == task_id), key=lambda e: (-e[key], e["pk"]))
    start = (page - 1) * PAGE
    shown = [entry["pk"] for entry in mine[start : start + PAGE]]
    found = {row.pk: row for row in rows.filter(pk__in=shown).select_related("patient", "prediction__encounter")}
    return Worklist(
        tasks, task_id, [found[pk] for pk in shown if pk in found], page, len(mine) > start + PAGE,
        dict(Counter(entry["state"] for entry in mine)), max((entry["updated_at"] for entry in mine), default=None),
    )  # fmt: skip


def _of_many(rows: Any, few: list[Any], called: dict[str, str], asked: str, key: str, page: int) -> Worklist:
    """A long list, walked along its index; counts stop at 500."""
    counted = [(task, title, rows.filter(task_id=task)[:COUNTED_TO].count()) for task, title in sorted(called.items())]
    tasks = [entry for entry in counted if entry[2]]
    task_id = asked if asked in {task for task, _, _ in tasks} else (tasks[0][0] if tasks else "")
    mine, start = rows.filter(task_id=task_id), (page - 1) * PAGE
    found = list(mine.select_related("patient", "prediction__encounter").order_by(f"-{key}", "pk")[start : start + PAGE + 1])
    states = {state: mine.filter(state=state)[:COUNTED_TO].count() for state in PredictionState.values}
    updated = mine.order_by("-updated_at").values_list("updated_at", flat=True).first()
    counts = {state: number for state, number in states.items() if number}
    return Worklist(tasks, task_id, found[:PAGE], page, len(found) > PAGE, counts, updated)


def last_update(*, viewer: Any, task_id: str) -> datetime | None:
    """When a risk of the list last changed (2 queries)."""
    few, rows = few_in_care(viewer), CurrentRisk.objects.for_actor(viewer)
    if few is None:
        return rows.filter(task_id=task_id).order_by("-updated_at").values_list("updated_at", flat=True).first()
    moments = rows.filter(patient_id__in=few).values_list("task_id", "updated_at")
    return max((moment for task, moment in moments if task == task_id), default=None)


def prediction_for(*, viewer: Any, prediction_id: Any) -> Prediction | None:
    """One prediction within the viewer's scope (1 query)."""
    return (
        Prediction.objects.for_actor(viewer)
        .select_related("patient", "patient__site", "encounter", "bundle", "bundle__task", "previous", "previous__bundle")
        .filter(pk=prediction_id)
        .first()
    )


def whose_risk(*, prediction_id: Any) -> str:
    """The pseudonym of the patient of a risk, for the line of a refused try; empty where there is none (1 query)."""
    rows = Prediction.objects.for_actor(_LOG).filter(pk=prediction_id)
    return rows.values_list("patient__pseudonym", flat=True).first() or ""


def account_of(prediction: Prediction) -> dict[str, Any]:
    """The sealed account: reasons, missing inputs, arms."""
    return orjson.loads(prediction.account_json) if prediction.account_sealed else {}


def maps_of(*, viewer: Any, prediction: Prediction) -> list[RiskMap]:
    """Activation maps of a prediction, slot by slot in the order the images came (1 query)."""
    found = RiskMap.objects.for_actor(viewer).select_related("instance").filter(prediction=prediction)
    return list(found.order_by("slot", "instance_id"))


def reviews_of(*, viewer: Any, prediction: Prediction) -> list[Review]:
    """What clinicians said of a prediction, newest first (1 query)."""
    rows = Review.objects.for_actor(viewer).select_related("reviewer").filter(prediction=prediction)
    return list(rows.order_by("-reviewed_at"))


def history(*, viewer: Any, patient_id: Any) -> QuerySet[Prediction]:
    """All risks of a patient, the last given first, and of those given at once the one of the latest moment."""
    rows = Prediction.objects.for_actor(viewer).select_related("encounter", "bundle", "bundle__task").filter(patient_id=patient_id)
    return rows.order_by("-created_at", "-index_at")


def current_of(*, viewer: Any, patient_id: Any) -> list[CurrentRisk]:
    """A patient's current risk per task (1 query)."""
    rows = CurrentRisk.objects.for_actor(viewer).select_related("prediction__encounter", "prediction__bundle__task")
    return list(rows.filter(patient_id=patient_id))


def trained_on(*, bundle: Any, patient_ids: Sequence[str], viewer: Any) -> set[str]:
    """Those of these patients whose cases the bundle was trained on, whichever stay is asked about now: by the registry's own
    list, or, for a bundle trained before there was one, by an out-of-fold risk (2 queries)."""
    listed = BundlePerson.objects.for_actor(viewer).filter(bundle=bundle, patient_id__in=list(patient_ids))
    judged = Prediction.objects.for_actor(viewer).filter(bundle=bundle, origin="out_of_fold", patient_id__in=list(patient_ids))
    return {str(key) for rows in (listed, judged) for key in rows.values_list("patient_id", flat=True)}


def answered_moments(*, bundle: Any, patient_ids: Sequence[str], viewer: Any) -> set[tuple[Any, datetime]]:
    """The stays and moments of these patients for which a request to the bundle was answered, also by a word in place of a
    number (1 query)."""
    rows = Prediction.objects.for_actor(viewer).filter(bundle=bundle, patient_id__in=list(patient_ids))
    return set(rows.exclude(origin="out_of_fold").values_list("encounter_id", "index_at"))


def bundles_trained_on(*, viewer: Any, patient_id: Any) -> list[ModelBundle]:
    """Every bundle trained on a person's cases, the newest first: by the registry's own list, or, for one trained before
    there was a list, by an out-of-fold risk (2 queries)."""
    ids = set(BundlePerson.objects.for_actor(viewer).filter(patient_id=patient_id).values_list("bundle_id", flat=True))
    risks = Prediction.objects.for_actor(viewer).filter(patient_id=patient_id, origin="out_of_fold")
    ids |= set(risks.values_list("bundle_id", flat=True))
    return list(ModelBundle.objects.select_related("task").filter(pk__in=ids).order_by("-trained_at"))


def recent_of_many(*, viewer: Any, risks: Sequence[CurrentRisk], task_id: str) -> dict[Any, list[Prediction]]:
    """Per patient of these current risks the risks of their task by the moment they speak of, the first one first; of one moment
    the current one, else the one given last (1 query)."""
    # task and order are sorted out here: in the query they would lead the database to walk the whole task
    rows = Prediction.objects.for_actor(viewer).filter(patient_id__in=[risk.patient_id for risk in risks])
    rows = rows.exclude(bundle__state=BundleState.WITHDRAWN)
    shown = rows.only("patient_id", "task_id", "state", "probability", "low", "high", "index_at", "created_at", "encounter_id")
    current = {risk.prediction_id for risk in risks}
    found: dict[Any, dict[datetime, Prediction]] = {}
    for row in sorted((row for row in shown if row.task_id == task_id), key=lambda row: (row.index_at, row.pk in current, row.created_at)):
        found.setdefault(row.patient_id, {})[row.index_at] = row
    return {patient_id: list(moments.values()) for patient_id, moments in found.items()}


def map_cells(found: RiskMap) -> list[list[float]]:
    """A stored map's cells, percentage points; IntegrityBroken when the file was changed."""
    raw = vault.get(found.blob_key, sha256=found.blob_sha256)
    return np.load(io.BytesIO(raw), allow_pickle=False).tolist()


def ids_in_scope(*, viewer: Any, task_id: str, at_most: int) -> list[str]:
    """The viewer's patients who have a risk of this task, the one that has stood longest first (1 query)."""
    rows = CurrentRisk.objects.for_actor(viewer).filter(task_id=task_id).order_by("updated_at", "pk")
    return [str(key) for key in rows.values_list("patient_id", flat=True)[:at_most]]


def standing_of(*, viewer: Any, prediction: Prediction) -> Standing:
    """How a risk stands today (1 query).

    Nothing stored says whether data changed between two risks, so one that a later risk took the place of counts as overtaken
    always; so does one of an earlier moment of the same stay. Risks of one training are given at one moment and overtake
    nothing else: of several cases of a person one is the current.
    """
    rows = CurrentRisk.objects.for_actor(viewer).select_related("prediction__encounter")
    current = rows.filter(patient_id=prediction.patient_id, task_id=prediction.task_id).first()
    if current is None:
        return Standing(False, False, None)
    other = current.prediction if current.prediction_id != prediction.pk else None
    return Standing(current.state == PredictionState.STALE, other is not None and _overtakes(other, prediction), other)


def _overtakes(other: Prediction, prediction: Prediction) -> bool:
    is_same_stay = other.encounter_id is not None and other.encounter_id == prediction.encounter_id
    return other.created_at > prediction.created_at or (is_same_stay and other.index_at > prediction.index_at)


def newest_of_job(*, viewer: Any, job_id: Any, patient_id: Any) -> Prediction | None:
    """The risk a job gave a patient (1 query)."""
    rows = Prediction.objects.for_actor(viewer).filter(job_id=job_id, patient_id=patient_id)
    return rows.order_by("-index_at").first()


def due_looks(*, viewer: Any) -> DueLooks | None:
    """How it stands with stays that come to their index moment; None where no live model waits for any (1 query)."""
    authorize(viewer, "jobs.read", Resource("job"))
    waits = ModelBundle.objects.filter(state=BundleState.LIVE, requests_on_new_data=True).values("task__task_id")
    looks = DueMoment.objects.filter(task_id__in=waits)
    found = looks.aggregate(at=Min("last_at"), asked=Sum("asked"), asked_at=Max("last_asked_at"))
    return DueLooks(found["at"], found["asked"], found["asked_at"]) if found["at"] else None
