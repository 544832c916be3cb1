"""Scores many snapshots at once: one run of the encoder, one matrix, then one account each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from salus_learn.contracts import PatientSnapshot, RiskResult
from salus_learn.errors import ExplanationError, LearnError
from salus_learn.features.columns import matrix
from salus_learn.features.readings import NOTHING, Reading, read_features
from salus_learn.imaging.embed import Embedded, Prepared, Report, embed
from salus_learn.imaging.encoder import ServedEncoder
from salus_learn.kinds.account import account_kinds
from salus_learn.scoring.account import Evidence, account, failed
from salus_learn.scoring.change import would_change
from salus_learn.scoring.untaught import hold_back
from salus_learn.store.bundle import Bundle
from salus_learn.store.model import Model, pattern_of

UNSUMMED = "Its reasons cannot be added up to it, so no risk is given: an input lies far from all that taught the model."


def score(
    bundle: Bundle, snapshots: Sequence[PatientSnapshot], *, fold: int | None = None, report: Report | None = None
) -> list[RiskResult]:
    """One result per snapshot, in order. A snapshot that cannot be used is FAILED with its sentence.

    With `fold`, the kept model of that outer fold speaks instead of the final one (for replay).
    """
    model = bundle.model if fold is None else bundle.folds[fold]
    readings: list[tuple[Reading, ...]] = []
    problems: dict[int, str] = {}
    for position, snapshot in enumerate(snapshots):
        try:
            readings.append(read_features(model.task, snapshot))
        except LearnError as error:
            problems[position] = str(error)
            readings.append(tuple(NOTHING for _ in model.task.features))
    encoder = bundle.encoder if fold is None else bundle.fold_encoders[fold]
    prepared = _embed_each(model, encoder, snapshots, problems, report)
    results = _account_each(model, snapshots, readings, prepared, bundle.digest)
    return [
        failed(model, snapshot.key, problems[position], bundle.digest) if position in problems else result
        for position, (snapshot, result) in enumerate(zip(snapshots, results, strict=True))
    ]


def _embed_each(
    model: Model,
    encoder: ServedEncoder | None,
    snapshots: Sequence[PatientSnapshot],
    problems: dict[int, str],
    report: Report | None,
) -> Prepared | None:
    """Embed all images; when one cannot be used, only its own snapshot is left out."""
    if model.head is None or encoder is None:
        return None
    images = [() if at in problems else snapshot.images for at, snapshot in enumerate(snapshots)]
    try:
        return embed(images, model.task.images, encoder, report=report)
    except LearnError:
        for at, one in enumerate(images):
            try:
                embed([one], model.task.images, encoder)
            except LearnError as error:
                problems[at] = str(error)
        kept = [() if at in problems else one for at, one in enumerate(images)]
        return embed(kept, model.task.images, encoder)


def _account_each(
    model: Model, snapshots: Sequence[PatientSnapshot], readings: Sequence[tuple[Reading, ...]], prepared: Prepared | None, digest: str
) -> list[RiskResult]:
    """Everybody's account; where reasons do not add up, whose they are fails and nobody else."""
    everyone = np.arange(len(snapshots))
    try:
        return account_all(model, snapshots, readings, prepared, everyone, digest)
    except ExplanationError:
        results = []
        for at in everyone.tolist():
            try:
                results += account_all(model, snapshots, readings, prepared, np.array([at]), digest)
            except ExplanationError:
                results.append(failed(model, snapshots[at].key, UNSUMMED, digest))
        return results


def account_all(
    model: Model,
    snapshots: Sequence[PatientSnapshot],
    readings: Sequence[tuple[Reading, ...]],
    prepared: Prepared | None,
    index: np.ndarray,
    bundle_digest: str,
    *,
    ask: bool = True,
) -> list[RiskResult]:
    """Accounts of the cases `index` by one model. `prepared` holds all cases. Without `ask` nobody is asked what would change them."""
    x = matrix(model.task, model.schema, readings)  # (n, d)
    line = model.line.terms(x[index]) if model.line is not None else None  # (k, d)
    trees = model.trees.contributions(x[index])[:, :-1] if model.trees is not None else None  # (k, d)
    images = distances = None
    if model.head is not None and prepared is not None:
        images, distances = model.head.margins(prepared, index), model.head.distances(prepared, index)
    results = []
    for at, case in enumerate(index.tolist()):
        has_image = images is not None and bool(np.isfinite(images[at]))
        pattern = pattern_of(x[case], has_image, model)
        if pattern is None:
            results.append(failed(model, snapshots[case].key, "Nothing the model needs was recorded.", bundle_digest))
            continue
        evidence = Evidence(
            snapshots[case], readings[case], None if line is None else line[at],
            None if trees is None else trees[at], tuple(prepared.images[case]) if prepared else (),
            float(images[at]) if has_image and images is not None else float("nan"),
            _unusual(model, prepared.images[case], float(distances[at])) if has_image and prepared and distances is not None else "",
        )  # fmt: skip
        results.append(account(model, evidence, pattern, bundle_digest))
    results = hold_back(model, x[index], results)
    if ask:
        asked = would_change(model, x[index], results)
        results = [replace(result, would_change=answers) for result, answers in zip(results, asked, strict=True)]
    if model.kinds is None:
        return results
    kinds = account_kinds(model.kinds, model.schema.owner, x, prepared, index, results)
    return [replace(result, kinds=found) for result, found in zip(results, kinds, strict=True)]


def _unusual(model: Model, images: Sequence[Embedded], distance: float) -> str:
    """Why the images should not be judged: the first gate that refuses, else their distance from training; or nothing."""
    for image in images:
        gate = model.gates.get(image.slot)
        why = gate.why(image.kind, image.spread) if gate else ""
        if why:
            return why
    if model.head is not None and distance > model.head.unusual_above:
        return "The image is not like those the model was trained on."
    return ""
