"""One patient's account: margins become a risk, its reasons, its doubt and its maps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from salus_learn.calibration.doubt import LEVEL
from salus_learn.contracts import (
    ActivationMap,
    MissingInput,
    Part,
    PatientSnapshot,
    Reason,
    RiskResult,
    RiskState,
)
from salus_learn.explain.points import check_sum, points_per_margin, risk_of
from salus_learn.features.readings import Reading
from salus_learn.imaging.embed import Embedded
from salus_learn.store.model import Model


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one case: readings, its row of columns, terms per judge and column, image parts.

    `unusual` says why its image should not be judged; empty when it may be.
    """

    snapshot: PatientSnapshot
    readings: tuple[Reading, ...]
    line_terms: np.ndarray | None
    tree_terms: np.ndarray | None
    images: tuple[Embedded, ...]
    image_margin: float
    unusual: str


def account(model: Model, evidence: Evidence, pattern: str, bundle_digest: str) -> RiskResult:
    """The risk and its reasons. Raises ExplanationError when they do not add up."""
    chair = model.chairs[pattern]
    weight = dict(zip(chair.judges, chair.weight.tolist(), strict=True))
    record = _record_terms(model, evidence, weight)
    image_term = _image_term(model, evidence, weight)
    margin = chair.offset + math.fsum(record) + image_term
    per_margin = points_per_margin(margin, chair.offset, chair.link)
    probability, reference = risk_of(margin, chair.link), risk_of(chair.offset, chair.link)
    reasons = _record_reasons(model, evidence, record, per_margin)
    if "image" in weight:
        reasons.append(_image_reason(model, evidence, image_term, per_margin))
    check_sum([reason.points for reason in reasons], probability, reference)
    kept = model.doubts[pattern].conformal_set(margin)
    state, why = _state(kept, evidence.unusual if "image" in weight else "")
    return RiskResult(
        key=evidence.snapshot.key, state=state, why=why, probability=probability,
        interval=model.doubts[pattern].interval(margin, probability), interval_level=LEVEL,
        prediction_set=tuple(word_of(model, label) for label in kept), reference_probability=reference,
        margin=margin, reference_margin=chair.offset, pattern=pattern,
        arm_margins=_arm_margins(model, evidence), reasons=tuple(reasons),
        maps=_maps(model, evidence, weight.get("image", 0.0) * per_margin),
        missing=_missing(model, evidence), threshold=model.thresholds["fused"],
        above_threshold=probability >= model.thresholds["fused"], bundle_digest=bundle_digest,
        task_digest=model.task.digest,
    )  # fmt: skip


def failed(model: Model, key: str, why: str, bundle_digest: str) -> RiskResult:
    """No risk, with the sentence that says why."""
    return RiskResult(
        key=key, state=RiskState.FAILED, why=why, probability=None, interval=None, interval_level=LEVEL,
        prediction_set=(), reference_probability=None, margin=None, reference_margin=None, pattern="",
        arm_margins={}, reasons=(), maps=(), missing=(), threshold=None, above_threshold=None,
        bundle_digest=bundle_digest, task_digest=model.task.digest,
    )  # fmt: skip


def _record_terms(model: Model, evidence: Evidence, weight: dict[str, float]) -> list[float]:
    """Chair-weighted terms per feature: columns of both judges gathered under their feature."""
    terms = [0.0] * len(model.task.features)
    for judge, columns in (("line", evidence.line_terms), ("trees", evidence.tree_terms)):
        if judge in weight and columns is not None:
            for owner, term in zip(model.schema.owner, columns.tolist(), strict=True):
                terms[owner] += weight[judge] * term
    return terms


def _image_term(model: Model, evidence: Evidence, weight: dict[str, float]) -> float:
    if "image" not in weight or model.head is None:
        return 0.0
    return weight["image"] * (evidence.image_margin - model.head.reference)


def _record_reasons(model: Model, evidence: Evidence, terms: list[float], per_margin: float) -> list[Reason]:
    return [
        Reason(
            name=spec.name, label=spec.label, part=Part.RECORD, value=reading.as_text(spec), unit=spec.unit,
            source=reading.source, time=reading.time, term=term, points=term * per_margin,
            missing=reading.value is None,
        )
        for spec, reading, term in zip(model.task.features, evidence.readings, terms, strict=True)
    ]  # fmt: skip


def _image_reason(model: Model, evidence: Evidence, term: float, per_margin: float) -> Reason:
    used = evidence.snapshot.images
    last = max(used, key=lambda image: image.time)
    labels = {spec.name: spec.label for spec in model.task.images}
    label = labels.get(last.slot, "Image") if len(used) == 1 else f"{len(used)} images"
    return Reason(
        name="image", label=label, part=Part.IMAGE, value=last.modality, unit=None, source=last.source,
        time=last.time, term=term, points=term * per_margin,
    )  # fmt: skip


def _state(kept: tuple[int, ...], unusual: str) -> tuple[RiskState, str]:
    if unusual:
        return RiskState.ABSTAINED, unusual
    if len(kept) == 2:
        return RiskState.ABSTAINED, "Neither answer can be excluded at 90 %."
    if not kept:
        return RiskState.ABSTAINED, "This patient is unlike both groups the model was trained on."
    return RiskState.COMPUTED, ""


def word_of(model: Model, label: int) -> str:
    """What an answer (1 or 0) is called in a prediction set."""
    return model.task.outcome.label if label else f"not {model.task.outcome.label}"


def _arm_margins(model: Model, evidence: Evidence) -> dict[str, float]:
    arms = {}
    if evidence.line_terms is not None and model.line is not None:
        arms["line"] = model.line.reference + float(evidence.line_terms.sum())
    if evidence.tree_terms is not None and model.trees is not None:
        arms["trees"] = model.trees.reference + float(evidence.tree_terms.sum())
    if math.isfinite(evidence.image_margin):
        arms["image"] = evidence.image_margin
    return arms


def _maps(model: Model, evidence: Evidence, per_cell: float) -> tuple[ActivationMap, ...]:
    """Cell maps in percentage points; over all images they sum to the image reason."""
    if model.head is None or not evidence.images:
        return ()
    grids = model.head.cells(evidence.images)
    return tuple(
        ActivationMap(image.slot, grid * per_cell, image.box, image.sha256)
        for image, grid in zip(evidence.images, grids, strict=True)
    )


def _missing(model: Model, evidence: Evidence) -> tuple[MissingInput, ...]:
    gone = [
        MissingInput(spec.name, spec.label, Part.RECORD)
        for spec, reading in zip(model.task.features, evidence.readings, strict=True)
        if reading.value is None
    ]
    there = {image.slot for image in evidence.images}
    gone += [MissingInput(s.name, s.label, Part.IMAGE) for s in model.task.images if s.name not in there]
    return tuple(gone)
