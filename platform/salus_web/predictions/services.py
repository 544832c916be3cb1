"""Asking for risks, storing them with their receipt, marking them stale, reviewing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from django.db import transaction

from salus_web.accounts.actors import system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record, record_many
from salus_web.common import vault
from salus_web.common.clock import SENT_TWICE, now
from salus_web.common.errors import BadInput, StateConflict
from salus_web.common.ids import new_id
from salus_web.common.keyring import KeyGone
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import Claim, enqueue, finish
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState, Review, RiskMap
from salus_web.records.models import Patient
from salus_web.records.scopes import CARE
from salus_web.records.selectors import purposes
from salus_web.records.services import note_new_data
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.selectors import NotLive, live_bundle, live_bundles, why_silent

OUT_OF_FOLD = "out_of_fold"
JUDGED = (PredictionState.COMPUTED, PredictionState.ABSTAINED)
OFF_DUTY = "the model went off duty before this was done, and "

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
    data_version: int  # the patient's, as it was before the first of the rows was read


@transaction.atomic
def request(*, patient_ids: Sequence[str], bundle: ModelBundle, why: str, by: Any, asked_by: str = "") -> Job:
    """Ask for a risk of these patients by this bundle. The same question, asked again before a worker begins, is one job.
    `asked_by` is the id of whoever asked first, where it is asked on for them."""
    authorize(by, "prediction.request", Resource("patient"))
    known = Patient.objects.for_actor(by).filter(pk__in=list(patient_ids)).values_list("pk", "pseudonym")
    if len(known) != len(set(patient_ids)):
        authorize(by, "prediction.request", Resource("patient", in_scope=False))
    whom = hashlib.sha256("".join(sorted(str(key) for key, _ in known)).encode()).hexdigest()[:24]
    job = _waiting_or_new(
        f"predict:{bundle.pk}:{whom}:", by=by, title=f"Computing risks: {bundle.task.title}",
        payload={"bundle_id": str(bundle.pk), "patient_ids": [str(key) for key, _ in known], "why": why}
        | ({"asked_by": asked_by} if asked_by else {}),
    )  # fmt: skip
    why_seen = purposes(viewer=by, patient_ids=[key for key, _ in known])
    record_many([Act("prediction.request", "job", str(job.pk), pseudonym, why_seen[key]) for key, pseudonym in known], by=by)
    return job


def _waiting_or_new(prefix: str, *, payload: dict[str, Any], title: str, by: Any) -> Job:
    """The job of this question that nobody has begun, or a new one. One that was begun may have read its rows before the data
    that is asked for now. The one found is held until the caller's transaction ends, so that no worker begins it before what
    that transaction stores can be read; one that a worker is taking just now is passed over instead of waited for."""
    waiting = Job.objects.select_for_update(skip_locked=True).filter(kind="predict", state=JobState.QUEUED)
    held = waiting.filter(unique_key__startswith=prefix).first()
    if held is not None:
        return held
    asked: dict[str, Any] = {"kind": "predict", "payload": payload, "title": title, "by": by}
    # of two clicks at one moment the second finds the first one's job by its key
    job = enqueue(unique_key=prefix + now().replace(second=0, microsecond=0).isoformat(), **asked)
    return waiting.filter(pk=job.pk).first() or enqueue(unique_key=prefix + new_id().hex, **asked)


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
    """Keep results, maps, receipts and current risks, and finish the job, in one transaction with the fence.

    Model, patients and current risks are locked, in this order, before anything is decided on them: a model that was withdrawn
    or is no longer live meanwhile stores nothing (NotLive), who was erased or took care back is left out, and a result
    from before the newest data is stale from the start.
    """
    bundle = _speaking(bundle, origin)
    people = _people(outcomes, origin, by)
    current = _current(bundle.task.task_id, people, by)
    moment, asked_by = now(), _asked_by(claim)
    made: list[_Made] = []
    before = {key: risk.prediction for key, risk in current.items()}
    for outcome in sorted(outcomes, key=lambda one: one.columns["index_at"]):
        person = people.get(_uuid(outcome.patient_id))
        if person is None:
            continue
        try:
            prediction = _prediction(outcome, claim, bundle, origin, moment, before.get(person.pk), asked_by)
            maps = [_map(prediction, found) for found in outcome.maps]
        except KeyGone:
            continue  # the key of somebody who is being erased goes before their rows do
        made.append(_Made(prediction, maps, person.data_version != outcome.data_version))
        before[person.pk] = prediction
    Prediction.objects.bulk_create([one.prediction for one in made], batch_size=200)
    RiskMap.objects.bulk_create([found for one in made for found in one.maps], batch_size=200)
    _set_current(made, current)
    stored = [(str(one.prediction.pk), people[_uuid(one.prediction.patient_id)].pseudonym) for one in made]
    record_many([Act("prediction.store", "prediction", key, pseudonym) for key, pseudonym in stored], by=by)
    left_out = {"left_out": len(outcomes) - len(made)} if len(made) < len(outcomes) else {}
    finish(claim=claim, result={"predictions": len(made)} | left_out, by=by)


class _Made(NamedTuple):
    """A row ready to be stored, its maps, and whether data of the patient came in after theirs was read."""

    prediction: Prediction
    maps: list[RiskMap]
    is_outdated: bool


def _asked_by(claim: Claim) -> str:
    return claim.payload.get("asked_by") or Job.objects.values_list("requested_by", flat=True).get(pk=claim.job_id)


def _uuid(text: Any) -> Any:
    return Patient._meta.pk.to_python(text)


def _speaking(bundle: ModelBundle, origin: str) -> ModelBundle:
    """The bundle as it stands now, held so that nobody withdraws it before its risks are stored. Raises NotLive when it
    may give none: for a request it has to be live, and a withdrawn one gives no out-of-fold risks either."""
    held = ModelBundle.objects.select_for_update(of=("self",), no_key=True).select_related("task").get(pk=bundle.pk)
    silent = why_silent(held)
    if silent and (origin != OUT_OF_FOLD or held.state == BundleState.WITHDRAWN):
        raise NotLive(silent)
    return held


def _people(outcomes: Sequence[Outcome], origin: str, by: Any) -> dict[Any, Patient]:
    """Those of these patients who are still here, each held against files and erasures that come meanwhile."""
    rows = Patient.objects.for_actor(by).filter(pk__in={outcome.patient_id for outcome in outcomes}, erased_at__isnull=True)
    if origin != OUT_OF_FOLD:
        rows = rows.for_purpose(CARE)
    held = rows.select_for_update(no_key=True).only("pk", "pseudonym", "data_version").order_by("pk")
    return {row.pk: row for row in held}


def _current(task_id: str, people: Iterable[Any], by: Any) -> dict[Any, CurrentRisk]:
    rows = CurrentRisk.objects.for_actor(by).filter(task_id=task_id, patient_id__in=list(people))
    rows = rows.select_related("prediction", "prediction__previous")
    return {risk.patient_id: risk for risk in rows.select_for_update(of=("self",)).order_by("pk")}


def _prediction(
    outcome: Outcome, claim: Claim, bundle: ModelBundle, origin: str, moment: Any, before: Prediction | None, asked_by: str
) -> Prediction:
    """One row with its sealed account and its receipt in the vault."""
    prediction = Prediction(
        id=new_id(), patient_id=outcome.patient_id, encounter_id=outcome.encounter_id, bundle=bundle,
        job_id=claim.job_id, task_id=bundle.task.task_id, origin=origin, created_at=moment,
        requested_by=asked_by, previous=_moment_before(outcome.columns["index_at"], before), **outcome.columns,
    )  # fmt: skip
    prediction.account_json = orjson.dumps(outcome.account).decode()
    receipt = outcome.receipt | {"prediction": str(prediction.pk), "stored_at": moment.isoformat(), "asked_by": asked_by}
    blob = vault.put(orjson.dumps(receipt, option=orjson.OPT_SORT_KEYS), owner=f"person:{outcome.patient_id}")
    prediction.receipt_key, prediction.receipt_sha256 = blob.key, blob.sha256
    return prediction


def _moment_before(index_at: Any, before: Prediction | None) -> Prediction | None:
    """The risk of the moment before. Where the last one given is of the same moment, which was then asked about again, it is
    what that one followed: an answer that is repeated is no change."""
    found = before.previous if before and before.index_at == index_at else before
    return found if found and found.index_at < index_at else None


def _map(prediction: Prediction, found: MapFile) -> RiskMap:
    blob = vault.put(found.npy, owner=f"person:{prediction.patient_id}")
    return RiskMap(
        patient_id=prediction.patient_id, prediction=prediction, instance_id=found.instance_id, slot=found.slot,
        box=list(found.box), total_points=found.total_points, blob_key=blob.key, blob_sha256=blob.sha256,
    )  # fmt: skip


def _set_current(made: Sequence[_Made], current: dict[Any, CurrentRisk]) -> None:
    """The worklist's flat rows."""
    new: list[CurrentRisk] = []
    changed: list[CurrentRisk] = []
    # of several cases of one patient the latest is the current one
    latest = {_uuid(one.prediction.patient_id): one for one in sorted(made, key=lambda one: one.prediction.index_at)}
    for patient_id, one in latest.items():
        prediction, risk = one.prediction, current.get(patient_id)
        if risk is not None and not _gives_way(risk, one):
            continue
        row = risk or CurrentRisk(patient_id=prediction.patient_id, task_id=prediction.task_id)
        row.state = PredictionState.STALE if one.is_outdated and prediction.state in JUDGED else prediction.state
        row.sort_probability = prediction.probability if row.state == PredictionState.COMPUTED else None
        row.change = _change(row.sort_probability, prediction, prediction.previous)
        row.prediction, row.updated_at = prediction, prediction.created_at
        (changed if risk else new).append(row)
    CurrentRisk.objects.bulk_create(new, batch_size=500)
    for row in changed:
        row.save()


def _gives_way(risk: CurrentRisk, one: _Made) -> bool:
    """Whether a patient's present risk is replaced by a new result."""
    found, present = one.prediction, risk.prediction
    if found.origin == OUT_OF_FOLD:  # of a model that nobody has made live, and often of a stay long ago
        is_gone = risk.state in (PredictionState.STALE, PredictionState.WITHDRAWN) and present.index_at == found.index_at
        return present.origin == OUT_OF_FOLD and (is_gone or present.index_at < found.index_at)
    if one.is_outdated:  # what has a number now had it from newer data, as new data takes the number off every older one
        return risk.state not in JUDGED
    is_same_model = present.origin == found.origin and present.bundle_id == found.bundle_id
    return risk.state not in JUDGED or not is_same_model or present.index_at <= found.index_at


def _change(shown: float | None, found: Prediction, before: Prediction | None) -> float | None:
    """How far a patient's risk moved: only between two computed risks by the same model, as another one's says nothing of the
    patient. What has become stale since still counts as what it was."""
    if shown is None or before is None or before.state != PredictionState.COMPUTED or before.probability is None:
        return None
    is_same_model = before.bundle_id == found.bundle_id and before.origin == found.origin
    return shown - before.probability if is_same_model else None


@transaction.atomic
def data_changed(*, patient_ids: Sequence[str], by: Any, ask: bool = True) -> None:
    """New data makes current risks stale, and asks anew where the live bundle's policy says so (`ask`). Call inside the
    transaction that stores the data."""
    note_new_data(patient_ids=patient_ids, by=by)
    rows = CurrentRisk.objects.for_actor(by).filter(patient_id__in=list(patient_ids), state__in=JUDGED)
    _hold(rows)
    # the moment too, or a list that is open would go on showing the number
    rows.update(state=PredictionState.STALE, sort_probability=None, change=None, updated_at=now())
    if not ask:
        return
    asked = allowing(patient_ids=patient_ids, by=by)
    for bundle in live_bundles():
        if bundle.requests_on_new_data and asked:
            request(patient_ids=asked, bundle=bundle, why="new data", by=by)


def allowing(*, patient_ids: Sequence[str], by: Any) -> list[str]:
    """Those of these patients who allow that a risk is computed for their care."""
    rows = Patient.objects.for_actor(by).for_purpose(CARE).filter(pk__in=list(patient_ids))
    return [str(key) for key in rows.order_by("pk").values_list("pk", flat=True)]


@transaction.atomic
def ask_anew(*, claim: Claim, bundle: ModelBundle, by: Any) -> None:
    """End a job whose model answers no more: its patients are asked of the model that is live now for the same question, for
    whoever asked first. Where none is live the job ends in words. It is no failure either way, as nobody could repair it."""
    live = live_bundle(bundle.task.task_id)
    asked = allowing(patient_ids=claim.payload["patient_ids"], by=by) if live else []
    result: dict[str, Any] = {"predictions": 0, "why": OFF_DUTY + "no other is live for this question"}
    if live and asked:
        job = request(patient_ids=asked, bundle=live, why="another model is live now", by=by, asked_by=_asked_by(claim))
        result |= {"asked_anew": str(job.pk), "why": OFF_DUTY + "the one that is live now was asked"}
    elif live:
        result["why"] = OFF_DUTY + "nobody of those it was asked for allows it now"
    finish(claim=claim, result=result, by=by)


def _hold(rows: Any) -> None:
    """Lock current risks in the one order in which all lock them."""
    list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


@transaction.atomic
def withdraw_risks(*, bundle: ModelBundle, by: Any) -> int:
    """A model that is taken back takes its current risks with it; returns how many. What was stored stays stored."""
    authorize(by, "models.promote", Resource("bundle", str(bundle.pk)))
    # counting patients tells nobody who they are, so the machine reads them
    current = CurrentRisk.objects.for_actor(system("withdrawal")).filter(prediction__bundle=bundle)
    _hold(current)
    number = current.update(state=PredictionState.WITHDRAWN, sort_probability=None, change=None, updated_at=now())
    record(Act("prediction.withdraw", "bundle", str(bundle.pk), detail={"risks": number}), by=by)
    return number


@transaction.atomic
def review(*, prediction: Prediction, decision: str, reason_code: str, note: str, by: Any) -> Review:
    """Accept or override with a coded reason. The same judgement sent twice within a moment is kept once."""
    authorize(by, "prediction.review", Resource("prediction", str(prediction.pk)))
    if decision not in {"accept", "override"}:
        raise BadInput("Say whether you accept the risk or override it.")
    if reason_code not in REVIEW_REASONS:
        raise BadInput("Choose a reason from the list.")
    if decision == "override" and reason_code == "agree":
        raise BadInput("An override needs another reason than agreement.")
    if reason_code == "other" and not note.strip():
        raise BadInput("With “another reason”, please say which.")
    _check_stands(prediction, by)
    last = _last_judgement(prediction, by)
    if last is not None and (last.decision, last.reason_code, last.note) == (decision, reason_code, note.strip()):
        return last
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


def _last_judgement(prediction: Prediction, by: Any) -> Review | None:
    """What this person said of this risk a moment ago. The risk is held, so that of two clicks the second finds the first one's."""
    list(Prediction.objects.for_actor(by).select_for_update(no_key=True).filter(pk=prediction.pk).values_list("pk", flat=True))
    rows = Review.objects.for_actor(by).filter(prediction=prediction, reviewer_id=by.id, reviewed_at__gt=now() - SENT_TWICE)
    return rows.order_by("-reviewed_at").first()


def _check_stands(prediction: Prediction, by: Any) -> None:
    """Raise StateConflict where no number stands that somebody could accept or override."""
    if prediction.state == PredictionState.FAILED:
        raise StateConflict("A risk that was not computed cannot be accepted or overridden.")
    if ModelBundle.objects.filter(pk=prediction.bundle_id, state=BundleState.WITHDRAWN).exists():
        raise StateConflict("This model was withdrawn, so its risk can no longer be accepted or overridden.")
    rows = CurrentRisk.objects.for_actor(by).filter(prediction=prediction)
    if rows.filter(state=PredictionState.STALE).exists():
        raise StateConflict("Data has changed since this risk was made, so it cannot be accepted or overridden. Please ask for a new one.")
