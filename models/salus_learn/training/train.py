"""Trains a task: repeated nested cross-validation for the honest figures, then one bundle on everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold
from threadpoolctl import threadpool_limits

from salus_learn.contracts import Case, RiskResult, RiskTask
from salus_learn.errors import TrainingError
from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.evaluation.report import with_best
from salus_learn.features.columns import read_all
from salus_learn.features.target import fewest_people
from salus_learn.imaging.embed import Report, embed
from salus_learn.imaging.encoder import default_encoder
from salus_learn.imaging.gate import Gate
from salus_learn.imaging.tune import Pixels
from salus_learn.scoring.judge import ArmSheet, add_kinds, kinds_of, new_sheet, persons_of, target_of
from salus_learn.scoring.judged import judged_people
from salus_learn.scoring.score import account_all
from salus_learn.store.bundle import fingerprint, write_bundle
from salus_learn.store.model import Model
from salus_learn.training.crossed import Crossed
from salus_learn.training.extras import known_extras
from salus_learn.training.fit import fit_model
from salus_learn.training.further import Further, further
from salus_learn.training.kinds import fit_kinds
from salus_learn.training.leakage import without_leaks
from salus_learn.training.material import Material
from salus_learn.training.tuning import fit_gates, pixel_material, tuned_material, wants_tuning


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


# thousands of small fits: on two cores BLAS threads wait for each other more than they work (measured 2.4 times slower)
@threadpool_limits.wrap(limits=1, user_api="blas")
def train(
    task: RiskTask,
    cases: Sequence[Case],
    out: Path,
    *,
    seed: int = 0,
    repeats: int | None = None,
    folds: int | None = None,
    stress: bool = False,
    ablation: bool = False,
    report: Report | None = None,
) -> Trained:
    """Train and write a bundle into the new folder `out`.

    Outer folds are split by person and stratified by outcome; nothing is chosen on them. With a frozen encoder
    there are 3 repeats of 5 folds, with a tuned one, which every fold tunes anew, 1 of 3. `stress` also fuses in
    other ways and puts the first fold's model to the test on the people it has not seen (a minute or two); `ablation`,
    with it and a tuned encoder, also tunes the first fold without variants of the images (as long as a fold). Raises
    TrainingError when there are too few people of either outcome.
    """
    tell = report or (lambda fraction, message: None)
    tuning = wants_tuning(task, cases)
    material = prepare_material(task, cases, lambda part, message: tell(0.22 * part, message), embedded=not tuning)
    material, leaks = without_leaks(material, cases)
    pixels = pixel_material(task, cases, report=lambda part, text: tell(0.15 * part, text)) if tuning else None
    splits = _outer_folds(material, folds or (3 if tuning else 5), repeats or (1 if tuning else 3), seed)
    tell(0.24, "learning what its images look like")
    fit = _Fit(material, pixels, cases, fit_gates(task, cases, seed=seed))
    beside = further(material, pixels, cases, seed=seed, ablation=ablation) if stress else None
    found = _cross_validate(fit, splits, seed, tell, beside)
    tell(0.9, "the model on everybody")
    final, _, history = fit(np.arange(len(cases)), seed, _within(tell, 0.9, 0.1, "everybody"), crossed=found.crossed)
    crossval = _figures(fit, found, history) | {"repeats": len(splits), "folds": len(splits[0]), "leaks": leaks}
    tell(1.0, "writing it down")
    card = _card(task, cases, material, final, seed)
    digest = write_bundle(out, final, card=card, crossval=crossval, folds=found.models)
    sheet, origin = found.sheets[0], f"out of fold, {len(splits[0])} folds by person, repeat 1 of {len(splits)}"
    extra = known_extras(crossval) | (beside.parts(sheet.probabilities["fused"]) if beside else {})
    judged = judged_people(task, cases, sheet, origin=origin, threshold=final.thresholds["fused"], extra=extra, persons=material.persons)
    return Trained(digest, crossval, [replace(one, bundle_digest=digest) for one in found.first if one], found.fold_of, judged)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Fits one model on some of the cases; gives it with the material its risks are worked out from."""

    material: Material
    pixels: Pixels | None
    cases: Sequence[Case]
    gates: dict[str, Gate]

    def __call__(
        self, inside: np.ndarray, seed: int, tell: Report, *, crossed: Crossed | None = None
    ) -> tuple[Model, Material, list[list[float | None]]]:
        """The model, its material, and the tuning's losses (empty with a frozen encoder). With `crossed`, the model on
        everybody: a tuned encoder is then taught by all."""
        if self.pixels is None:
            return self._fitted(self.material, inside, seed), self.material, []
        material, tuned = tuned_material(self.material, self.pixels, self.cases, inside, seed=seed, report=tell, crossed=crossed)
        model = replace(self._fitted(material, inside, seed), network=tuned.network)
        return model, material, [list(pair) for pair in tuned.history]

    def _fitted(self, material: Material, inside: np.ndarray, seed: int) -> Model:
        model = fit_model(material, inside, seed=seed)
        return replace(model, gates=self.gates, kinds=fit_kinds(material, model, inside, seed=seed))


@dataclass(frozen=True, slots=True)
class _Outside:
    """What cross-validation gives: a sheet per repeat; of the first repeat the models, results and their folds."""

    sheets: list[ArmSheet]
    models: list[Model]
    first: list[RiskResult | None]
    fold_of: dict[str, int]
    histories: list[list[list[float | None]]]
    crossed: Crossed


def _figures(fit: _Fit, found: _Outside, last: list[list[float | None]]) -> dict[str, Any]:
    """The figures of all repeats, of the kinds those of the first; how each encoder learned, `last` the final one's."""
    task = fit.material.task
    figures = mean_report([sheet.report(task, fit.material.target, fit.material.persons) for sheet in found.sheets])
    add_kinds(figures, task, fit.cases, found.sheets[0], fit.material.persons)
    if fit.pixels is None:
        return figures | {"encoder": "frozen", "tuning_curves": []}
    return figures | {"encoder": "tuned", "tuning_curves": [*found.histories, last]}


def _cross_validate(
    fit: _Fit, splits: list[list[tuple[np.ndarray, np.ndarray]]], seed: int, tell: Report, beside: Further | None
) -> _Outside:
    """Fit inside each fold, give risks outside it."""
    cases = fit.cases
    crossed = Crossed(len(cases), len(fit.material.task.outcome.kinds))
    found = _Outside([], [], [None] * len(cases), {}, [], crossed)
    steps, snapshots = sum(len(parts) for parts in splits), [case.snapshot for case in cases]
    for repeat, parts in enumerate(splits):
        sheet = new_sheet(fit.material.task, fit.material.target)
        for at, (inside, outside) in enumerate(parts):
            done, name = 0.3 + 0.6 * (repeat * len(parts) + at) / steps, f"fold {at + 1}, repeat {repeat + 1} of {len(splits)}"
            tell(done, name)
            model, material, history = fit(inside, seed + repeat, _within(tell, done, 0.6 / steps, name))
            results = account_all(model, snapshots, material.readings, material.prepared, outside, "")
            for case, result in zip(outside.tolist(), results, strict=True):
                sheet.note(model, case, result, at)
                if repeat == 0:
                    found.first[case], found.fold_of[result.key] = result, at
            if repeat == 0:
                found.models.append(model)
                found.histories.append(history)
                if fit.pixels is not None:
                    found.crossed.note(model, material, outside, passes=len(history))
            if beside and repeat == 0:
                beside.judge(at, model, material, inside, outside, _within(tell, done + 0.6 / steps, 0.0, name))
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
    kinds = kinds_of(task, cases) if task.outcome.kinds else None
    return Material(task, readings, prepared, target, persons_of(cases), kinds=kinds)


def _outer_folds(
    material: Material, folds: int, repeats: int, seed: int
) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Repeated folds by person, stratified by outcome."""
    fewest = fewest_people(material.y, material.persons)
    if fewest < 4:
        raise TrainingError(f"Only {fewest} people of one outcome: at least 4 of each are needed to train, however many cases they have.")
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
    """Each figure and its bounds averaged over the repeats (not a figure of averaged probabilities). The best single arm is
    the one with the highest mean, and in every repeat the fused risk is held against this one."""
    return with_best(_mean(reports))


def _mean(values: list[Any]) -> Any:
    """Average numbers at the same place, where a repeat has them; words come from the first. A figure with its interval ([value, low,
    high]) has bounds only where every repeat that has a value has them: else the value could lie outside those of some."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    first = known[0]
    if isinstance(first, list) and any(None in value for value in known):
        told = [value for value in known if value[0] is not None]
        return [None if any(value[at] is None for value in told) else _mean([value[at] for value in told]) for at in range(len(first))]
    if isinstance(first, dict):
        names = dict.fromkeys(name for value in known for name in value)
        return {name: _mean([value.get(name) for value in known]) for name in names}
    if isinstance(first, list):
        return [_mean(list(entry)) for entry in zip(*known, strict=True)]
    return round(float(np.mean(known)), 6) if isinstance(first, float) else first


def _card(task: RiskTask, cases: Sequence[Case], material: Material, model: Model, seed: int) -> dict[str, Any]:
    """What a reader must know before trusting the model. Of time to an event, what is known at the horizon, and how many were lost before."""
    came = material.target.at(task.outcome.horizon_days)
    return {
        "task": task.id, "title": task.title, "who": task.who, "use": task.use, "not_for": task.not_for,
        "outcome": task.outcome.label, "horizon_days": task.outcome.horizon_days,
        "people": int(len(np.unique(material.persons))), "cases": len(cases), "events": int((came == 1).sum()),
        "lost": int(np.isnan(came).sum()), "with_image": sum(bool(case.snapshot.images) for case in cases),
        "features": [spec.name for spec in task.features], "always_there": list(model.always_there), "images": [spec.name for spec in task.images],
        "labels": {spec.name: spec.label for spec in task.features} | {spec.name: spec.label for spec in task.images},
        "training_fingerprint": fingerprint(case.snapshot.key for case in cases), "seed": seed,
        "trained_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "chairs": {name: dict(zip(chair.judges, chair.weight.round(4).tolist(), strict=True)) for name, chair in model.chairs.items()},
        "threshold": {"rule": task.threshold_rule, "target": task.threshold_target, "probability": model.thresholds["fused"]},
    }  # fmt: skip
