"""The library's results as what the platform stores: columns, account, receipt and maps."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
from django.conf import settings
from salus_learn.contracts import PatientSnapshot, RiskResult
from salus_learn.known_scores.scores import score_patient
from salus_web.predictions.models import Prediction
from salus_web.predictions.services import MapFile, Outcome

from salus_workers.adapters.snapshots import StoredCase


def outcome_of(case: StoredCase, result: RiskResult, *, fold: int | None = None) -> Outcome:
    """One result with everything that is kept of it; `fold` names the kept model that gave an out-of-fold risk."""
    low, high = result.interval or (None, None)
    columns = {
        "state": result.state.value, "why": _fitting(result.why), "index_at": case.snapshot.index_time,
        "probability": result.probability, "low": low, "high": high,
        "reference_probability": result.reference_probability, "margin": result.margin,
        "reference_margin": result.reference_margin, "threshold": result.threshold, "pattern": result.pattern,
        "prediction_set": list(result.prediction_set),
    }  # fmt: skip
    account = {
        "reasons": [dataclasses.asdict(reason) for reason in result.reasons],
        "missing": [dataclasses.asdict(entry) for entry in result.missing],
        "known_scores": [dataclasses.asdict(one) for one in score_patient(case.snapshot, all_diagnoses=case.all_diagnoses)],
        "would_change": [dataclasses.asdict(entry) for entry in result.would_change],
        "kinds": [dataclasses.asdict(kind) for kind in result.kinds],
        "arms": result.arm_margins, "interval_level": result.interval_level,
        "above_threshold": result.above_threshold,
    }  # fmt: skip
    receipt = {
        "bundle": result.bundle_digest, "task": result.task_digest, "fold": fold, "code": settings.SALUS_CODE_VERSION,
        "scored": case.is_asked, "snapshot": _snapshot(case.snapshot), "outputs": columns, "account": account,
    }  # fmt: skip
    return Outcome(case.patient_id, case.encounter_id, columns, account, receipt, _maps(case.snapshot, result), case.data_version)


def _fitting(why: str) -> str:
    """The sentence as long as its column: one patient's long one must not fail the others of a job."""
    most = int(Prediction._meta.get_field("why").max_length or 0)
    return why if len(why) <= most else f"{why[: most - 1].rstrip()}…"


def _snapshot(snapshot: PatientSnapshot) -> dict[str, Any]:
    """Every input with its source, time and unit; images by hash."""
    images = [
        {"slot": image.slot, "sha256": image.sha256, "time": image.time, "source": image.source, "instance": image.id,
         "modality": image.modality, "body_part": image.body_part, "view": image.view,
         "region": dataclasses.asdict(image.region) if image.region else None}
        for image in snapshot.images
    ]  # fmt: skip
    values = [dataclasses.asdict(value) for value in snapshot.values]
    return {
        "key": snapshot.key, "person": snapshot.person, "site": snapshot.site, "index_time": snapshot.index_time,
        "values": values, "images": images,
    }  # fmt: skip


def _maps(snapshot: PatientSnapshot, result: RiskResult) -> tuple[MapFile, ...]:
    by_hash = {(image.slot, image.sha256): image.id for image in snapshot.images}
    files = []
    for found in result.maps:
        stream = io.BytesIO()
        np.save(stream, np.asarray(found.points, dtype=np.float32), allow_pickle=False)
        instance = by_hash[(found.slot, found.sha256)]
        files.append(MapFile(instance, found.slot, found.box, float(np.sum(found.points)), stream.getvalue()))
    return tuple(files)
