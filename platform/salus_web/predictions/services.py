"""Asking for risks, storing them with their receipt, marking them stale, reviewing them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from django.db import transaction

from salus_web.accounts.actors import system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record, record_many
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, StateConflict
from salus_web.common.ids import new_id
from salus_web.jobs.models import Job
from salus_web.jobs.services import Claim, enqueue, finish
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState, Review, RiskMap
from salus_web.records.models import Patient
from salus_web.records.scopes import CARE
from salus_web.records.selectors import purposes
from salus_web.registry.models import ModelBundle
from salus_web.registry.selectors import live_bundles

REVIEW_REASONS = {
    "agree": "Agrees with my judgement",
    "knows_more": "I know something the model does not",
    "wrong_input": "An input is wrong",
    "image_quality": "The image is poor",
    "not_for_this_patient": "The model is not meant for this patient",
    "other": "Another reason (say which)",
}


@dataclass(frozen=True, slots=True)
class MapFile:
    """One activation map to keep: NPY bytes, and where it lies over which instance."""

    instance_id: str
    slot: str
    box: tuple[int, int, int, int]
    total_points: float
    npy: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """One result ready to be stored: the prediction's columns, its account and receipt as JSON, its maps."""

    patient_id: str
    encounter_id: str | None
    columns: dict[str, Any]
    account: dict[str, Any]
    receipt: dict[str, Any]
    maps: tuple[MapFile, ...]


@transaction.atomic
def request(*, patient_ids: Sequence[str], bundle: ModelBundle, why: str, by: Any) -> Job:
    """Ask for a risk of these patients by this bundle. The same question about the same moment is one job."""
    authorize(by, "prediction.request", Resource("patient"))
    known = Patient.objects.for_actor(by).filter(pk__in=list(patient_ids)).values_list("pk", "pseudonym")
    if len(known) != len(set(patient_ids)):
        authorize(by, "prediction.request", Resource("patient", in_scope=False))
    # a click within the same minute is the same question
    minute = now().replace(second=0, microsecond=0).isoformat()
    whom = hashlib.sha256("".join(sorted(str(key) for key, _ in known)).encode()).hexdigest()[:24]
    job = enqueue(
        kind="predict",
        unique_key=f"predict:{bundle.pk}:{whom}:{minute}",
        payload={"bundle_id": str(bundle.pk), "patient_ids": [str(key) for key, _ in known], "why": why},
        title=f"{bundle.task.title}: {len(known)} patient(s)",
        by=by,
    )
    why_seen = purposes(viewer=by, patient_ids=[key for key, _ in known])
    record_many([Act("prediction.request", "job", str(job.pk), pseudonym, why_seen[key]) for key, pseudonym in known], by=by)
    return job


@transaction.atomic
def request_replay(*, prediction: Prediction, by: Any) -> Job:
    """Ask for a risk to be recomputed from its receipt. Once a minute at most."""
    authorize(by, "patient.read", Resource("prediction", str(prediction.pk)))
    if not prediction.receipt_key:
        raise StateConflict("This risk has no receipt, so it cannot be replayed.")
    minute = now().replace(second=0, microsecond=0).isoformat()
    return enqueue(
        kind="replay", unique_key=f"replay:{prediction.pk}:{minute}", payload={"prediction_id": str(prediction.pk)},
        title="Recomputing a risk from its receipt", by=by,
    )  # fmt: skip


@transaction.atomic
def store_results(*, claim: Claim, bundle: ModelBundle, outcomes: Sequence[Outcome], origin: str, by: Any) -> None:
    """Keep results, maps, receipts and current risks, and finish the job, in one transaction with the fence."""
    moment = now()
    current = {
        risk.patient_id: risk
        for risk in CurrentRisk.objects.for_actor(by)
        .select_related("prediction")
        .filter(task_id=bundle.task.task_id, patient_id__in=[outcome.patient_id for outcome in outcomes])
    }
    predictions, maps, acts = [], [], []
    names = dict(
        Patient.objects.for_actor(by).filter(pk__in=[o.patient_id for o in outcomes]).values_list("pk", "pseudonym")
    )
    pseudonyms = {str(key): value for key, value in names.items()}
    for outcome in outcomes:
        before = current.get(_uuid(outcome.patient_id))
        prediction = _prediction(outcome, claim, bundle, origin, moment, before, by)
        predictions.append(prediction)
        maps += [_map(prediction, found) for found in outcome.maps]
        acts.append(
            Act("prediction.store", "prediction", str(prediction.pk), pseudonyms[str(outcome.patient_id)])
        )
    Prediction.objects.bulk_create(predictions, batch_size=200)
    RiskMap.objects.bulk_create(maps, batch_size=200)
    _set_current(predictions, current)
    record_many(acts, by=by)
    finish(claim=claim, result={"predictions": len(predictions)}, by=by)


def _uuid(text: str) -> Any:
    return Patient._meta.pk.to_python(text)


def _prediction(
    outcome: Outcome, claim: Claim, bundle: ModelBundle, origin: str, moment: Any, before: CurrentRisk | None, by: Any
) -> Prediction:
    """One row with its sealed account and its receipt in the vault."""
    prediction = Prediction(
        id=new_id(), patient_id=outcome.patient_id, encounter_id=outcome.encounter_id, bundle=bundle,
        job_id=claim.job_id, task_id=bundle.task.task_id, origin=origin, created_at=moment,
        requested_by=by.id, previous=before.prediction if before else None, **outcome.columns,
    )  # fmt: skip
    prediction.account_json = orjson.dumps(outcome.account).decode()
    receipt = outcome.receipt | {"prediction": str(prediction.pk), "stored_at": moment.isoformat(), "asked_by": by.id}
    blob = vault.put(orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS), owner=f"person:{outcome.patient_id}")
    prediction.receipt_key, prediction.receipt_sha256 = blob.key, blob.sha256
    return prediction


def _map(prediction: Prediction, found: MapFile) -> RiskMap:
    blob = vault.put(found.npy, owner=f"person:{prediction.patient_id}")
    return RiskMap(
        patient_id=prediction.patient_id, prediction=prediction, instance_id=found.instance_id, slot=found.slot,
        box=list(found.box), total_points=found.total_points, blob_key=blob.key, blob_sha256=blob.sha256,
    )  # fmt: skip


def _set_current(predictions: Sequence[Prediction], current: dict[Any, CurrentRisk]) -> None:
    """The worklist's flat row. A change is only between two computed risks."""
    new: list[CurrentRisk] = []
    changed: list[CurrentRisk] = []
    # of several cases of one patient the latest is the current one
    latest = {str(found.patient_id): found for found in sorted(predictions, key=lambda found: found.index_at)}
    for prediction in latest.values():
        shown = prediction.probability if prediction.state == PredictionState.COMPUTED else None
        risk = current.get(_uuid(str(prediction.patient_id)))
        was = risk.sort_probability if risk else None
        change = shown - was if shown is not None and was is not None else None
        row = risk or CurrentRisk(patient_id=prediction.patient_id, task_id=prediction.task_id)
        row.prediction, row.state, row.sort_probability = prediction, prediction.state, shown
        row.change, row.updated_at = change, prediction.created_at
        (changed if risk else new).append(row)
    CurrentRisk.objects.bulk_create(new, batch_size=500)
    for row in changed:
        row.save()


@transaction.atomic
def data_changed(*, patient_ids: Sequence[str], by: Any) -> None:
    """New data makes current risks stale, and asks anew where the live bundle's policy says so."""
    stale = CurrentRisk.objects.for_actor(by).filter(
        patient_id__in=list(patient_ids), state__in=[PredictionState.COMPUTED, PredictionState.ABSTAINED]
    )
    stale.update(state=PredictionState.STALE, sort_probability=None, change=None)
    allowed = Patient.objects.for_actor(by).for_purpose(CARE).filter(pk__in=list(patient_ids))
    asked = [str(key) for key in allowed.order_by("pk").values_list("pk", flat=True)]
    for bundle in live_bundles():
        if bundle.requests_on_new_data and asked:
            request(patient_ids=asked, bundle=bundle, why="new data", by=by)


@transaction.atomic
def withdraw_risks(*, bundle: ModelBundle, by: Any) -> int:
    """A model that is taken back takes its current risks with it; returns how many. What was stored stays stored."""
    authorize(by, "models.promote", Resource("bundle", str(bundle.pk)))
    # counting patients tells nobody who they are, so the machine reads them
    current = CurrentRisk.objects.for_actor(system("withdrawal")).filter(prediction__bundle=bundle)
    number = current.update(state=PredictionState.WITHDRAWN, sort_probability=None, change=None, updated_at=now())
    record(Act("prediction.withdraw", "bundle", str(bundle.pk), detail={"risks": number}), by=by)
    return number


@transaction.atomic
def review(*, prediction: Prediction, decision: str, reason_code: str, note: str, by: Any) -> Review:
    """Accept or override with a coded reason."""
    authorize(by, "prediction.review", Resource("prediction", str(prediction.pk)))
    if decision not in {"accept", "override"}:
        raise BadInput("Say whether you accept the risk or override it.")
    if reason_code not in REVIEW_REASONS or (decision == "override" and reason_code == "agree"):
        raise BadInput("Choose a reason from the list.")
    if reason_code == "other" and not note.strip():
        raise BadInput("With “another reason”, please say which.")
    if prediction.state == PredictionState.FAILED:
        raise StateConflict("A risk that was not computed cannot be accepted or overridden.")
    row = Review(
        patient_id=prediction.patient_id, prediction=prediction, reviewer_id=by.id, decision=decision,
        reason_code=reason_code, reviewed_at=now(),
    )  # fmt: skip
    row.note = note.strip()
    row.save(force_insert=True)
    pseudonym = Patient.objects.for_actor(by).values_list("pseudonym", flat=True).get(pk=prediction.patient_id)
    detail = {"decision": decision, "reason": reason_code}
    why_seen = purposes(viewer=by, patient_ids=[row.patient_id])[row.patient_id]
    record(Act("prediction.review", "prediction", str(prediction.pk), pseudonym, why_seen, detail=detail), by=by)
    return row
