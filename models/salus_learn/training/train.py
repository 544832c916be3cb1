"""Trains a task: repeated nested cross-validation for the honest figures, then one bundle on everybody."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.contracts import Case, RiskResult, RiskTask
from salus_learn.errors import TrainingError
from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.features.columns import read_all
from salus_learn.imaging.embed import Report, embed
from salus_learn.imaging.encoder import default_encoder
from salus_learn.imaging.gate import Gate
from salus_learn.imaging.tune import EarlyMaps
from salus_learn.scoring.judge import ArmSheet, new_sheet, target_of
from salus_learn.scoring.judged import judged_people
from salus_learn.scoring.score import account_all
from salus_learn.store.bundle import write_bundle
from salus_learn.store.model import Model
from salus_learn.training.fit import fit_model
from salus_learn.training.leakage import without_leaks
from salus_learn.training.material import Material
from salus_learn.training.tuning import early_material, fit_gates, tuned_material, wants_tuning


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the bundle's digest, its figures, per case the out-of-fold result, and by the key of
    each case which fold's model gave it (that model is kept in the bundle, so that the result can be replayed), and the
    first repeat as what a report is made of."""

    digest: str
    crossval: dict[str, Any]
    out_of_fold: list[RiskResult]
    fold_of: dict[str, int]
    judged: JudgedPeople


def train(
    task: RiskTask,
    cases: Sequence[Case],
    out: Path,
    *,
    seed: int = 0,
    repeats: int | None = None,
    folds: int | None = None,
    report: Report | None = None,
) -> Trained:
    """Train and write a bundle into the new folder `out`.

    Outer folds are split by person and stratified by outcome; nothing is chosen on them. With a frozen encoder
    there are 3 repeats of 5 folds, with a tuned one, which every fold tunes anew, 1 of 3. Raises TrainingError when there are too few people
    of either outcome.
    """
    tell = report or (lambda fraction, message: None)
    tuning = wants_tuning(task, cases)
    material = prepare_material(task, cases, lambda part, message: tell(0.22 * part, message), embedded=not tuning)
    material, leaks = without_leaks(material, cases)
    early = early_material(task, cases, seed=seed, report=lambda part, text: tell(0.15 * part, text)) if tuning else None
    splits = _outer_folds(material, folds or (3 if tuning else 5), repeats or (1 if tuning else 3), seed)
    tell(0.24, "learning what its images look like")
    fit = _Fit(material, early, cases, fit_gates(task, cases, seed=seed))
    found = _cross_validate(fit, splits, seed, tell)
    tell(0.9, "the model on everybody")
    final, _, history = fit(np.arange(len(cases)), seed, lambda part, text: tell(0.9 + 0.1 * part, text))
    figures = mean_report([sheet.report(task, material.target) for sheet in found.sheets])
    crossval = figures | {"repeats": len(splits), "folds": len(splits[0]), "encoder": "tuned" if tuning else "frozen"}
    crossval["leaks"] = leaks
    crossval["tuning_curves"] = [*found.histories, history] if tuning else []
    card = _card(task, cases, material, final, seed)
    digest = write_bundle(out, final, card=card, crossval=crossval, folds=found.models)
    kept = [replace(result, bundle_digest=digest) for result in found.first if result is not None]
    tell(1.0, "done")
    judged = judged_people(
        task, cases, found.sheets[0], origin=f"out of fold, {len(splits[0])} folds by person, repeat 1 of {len(splits)}",
        threshold=final.thresholds["fused"], extra=_extra(crossval),
    )  # fmt: skip
    return Trained(digest, crossval, kept, found.fold_of, judged)


def _extra(crossval: dict[str, Any]) -> dict[str, Any]:
    """The report's parts that training itself knows: what the leak hunt found, how each fold's encoder learned."""
    rows = [[one["severity"], one["evidence"]] for one in crossval["leaks"]] or [["none", "Nothing suspicious was found."]]
    hunted = {"note": "Looked for before this training.", "columns": ["severity", "finding"], "rows": rows}
    curves = crossval["tuning_curves"]
    if not curves:
        return {"leaks": hunted}
    series = []
    for at, curve in enumerate(curves):
        name = f"fold {at + 1}" if at + 1 < len(curves) else "on everybody"
        passes = list(range(1, len(curve) + 1))
        series.append({"name": f"{name}, taught", "x": passes, "y": [pair[0] for pair in curve]})
        series.append({"name": f"{name}, not taught", "x": passes, "y": [pair[1] for pair in curve]})
    note = "Log loss after each pass over the images, on those who taught the encoder and on the quarter who never did."
    return {"leaks": hunted, "learning_curve": {"note": note, "series": series, "x": "pass", "y": "log loss"}}


@dataclass(frozen=True, slots=True)
class _Fit:
    """Fits one model on some of the cases; gives it with the material its risks are worked out from."""

    material: Material
    early: EarlyMaps | None
    cases: Sequence[Case]
    gates: dict[str, Gate]

    def __call__(self, inside: np.ndarray, seed: int, tell: Report) -> tuple[Model, Material, list[list[float | None]]]:
        """The model, its material, and the tuning's losses (empty with a frozen encoder)."""
        if self.early is None:
            return replace(fit_model(self.material, inside, seed=seed), gates=self.gates), self.material, []
        material, tuned = tuned_material(self.material, self.early, self.cases, inside, seed=seed, report=tell)
        model = replace(fit_model(material, inside, seed=seed), network=tuned.network, gates=self.gates)
        return model, material, [list(pair) for pair in tuned.history]


@dataclass(frozen=True, slots=True)
class _Outside:
    """What cross-validation gives: a sheet per repeat; of the first repeat the models, results and their folds."""

    sheets: list[ArmSheet]
    models: list[Model]
    first: list[RiskResult | None]
    fold_of: dict[str, int]
    histories: list[list[list[float | None]]]


def _cross_validate(fit: _Fit, splits: list[list[tuple[np.ndarray, np.ndarray]]], seed: int, tell: Report) -> _Outside:
    """Fit inside each fold, give risks outside it."""
    cases = fit.cases
    found = _Outside([], [], [None] * len(cases), {}, [])
    steps, snapshots = sum(len(parts) for parts in splits), [case.snapshot for case in cases]
    for repeat, parts in enumerate(splits):
        sheet = new_sheet(fit.material.task, fit.material.target)
        for at, (inside, outside) in enumerate(parts):
            done, name = 0.3 + 0.6 * (repeat * len(parts) + at) / steps, f"fold {at + 1}, repeat {repeat + 1} of {len(splits)}"
            tell(done, name)
            model, material, history = fit(inside, seed + repeat, _within(tell, done, 0.6 / steps, name))
            results = account_all(model, snapshots, material.readings, material.prepared, outside, "")
            for case, result in zip(outside.tolist(), results, strict=True):
                sheet.note(model, case, result)
                if repeat == 0:
                    found.first[case], found.fold_of[result.key] = result, at
            if repeat == 0:
                found.models.append(model)
                found.histories.append(history)
        found.sheets.append(sheet)
    return found


def _within(tell: Report, start: float, width: float, name: str) -> Report:
    """Progress of one fold as a part of the whole."""
    return lambda part, text: tell(start + width * part, f"{name}: {text}")


def prepare_material(
    task: RiskTask, cases: Sequence[Case], report: Report | None = None, *, embedded: bool = True
) -> Material:
    """Readings and, with a frozen encoder, embedded images of all cases; the encoder runs once over each image."""
    readings = read_all(task, [case.snapshot for case in cases])
    prepared = None
    if embedded and task.images and any(case.snapshot.images for case in cases):
        prepared = embed([case.snapshot.images for case in cases], task.images, default_encoder(), report=report)
    target = target_of(cases)
    _, persons = np.unique([case.snapshot.person for case in cases], return_inverse=True)
    return Material(task, readings, prepared, target, persons)


def _outer_folds(
    material: Material, folds: int, repeats: int, seed: int
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Repeated folds by person, stratified by outcome."""
    fewest = int(np.bincount(material.y, minlength=2).min())
    if fewest < 4:
        raise TrainingError(f"Only {fewest} cases of one outcome: at least 4 of each are needed to train.")
    split = min(folds, fewest)
    return [
        list(
            StratifiedGroupKFold(split, shuffle=True, random_state=seed + 1000 * repeat).split(
                material.y, material.y, material.persons
            )
        )
        for repeat in range(repeats)
    ]


def mean_report(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Each figure and its bounds averaged over the repeats (not a figure of averaged probabilities)."""
    return _mean(reports)


def _mean(values: list[Any]) -> Any:
    """Average numbers at the same place; words come from the first."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _mean([value[key] for value in values]) for key in first}
    if isinstance(first, list):
        return [_mean(list(entry)) for entry in zip(*values, strict=True)]
    if isinstance(first, float):
        numbers = [value for value in values if value is not None]
        return round(float(np.mean(numbers)), 6)
    return first


def _card(task: RiskTask, cases: Sequence[Case], material: Material, model: Model, seed: int) -> dict[str, Any]:
    """What a reader must know before trusting the model."""
    keys = "\n".join(sorted(case.snapshot.key for case in cases))
    return {
        "task": task.id, "title": task.title, "who": task.who, "use": task.use, "not_for": task.not_for,
        "outcome": task.outcome.label, "horizon_days": task.outcome.horizon_days,
        "people": int(len(np.unique(material.persons))), "cases": len(cases), "events": int(material.y.sum()),
        "with_image": sum(bool(case.snapshot.images) for case in cases),
        "features": [spec.name for spec in task.features], "images": [spec.name for spec in task.images],
        "training_fingerprint": hashlib.sha256(keys.encode()).hexdigest(), "seed": seed,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "chairs": {name: dict(zip(chair.judges, chair.weight.round(4).tolist(), strict=True)) for name, chair in model.chairs.items()},
        "threshold": {"rule": task.threshold_rule, "target": task.threshold_target, "probability": model.thresholds["fused"]},
    }  # fmt: skip
