"""Fits one model on some of the cases; everything that is chosen is chosen inside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.calibration.doubt import fit_doubt
from salus_learn.calibration.threshold import operating_margin, operating_threshold
from salus_learn.contracts import RiskTask
from salus_learn.errors import TrainingError
from salus_learn.explain.points import risk_of
from salus_learn.features.columns import always_there, fit_schema, matrix, slots_always_there
from salus_learn.features.target import fewest_people
from salus_learn.fusion.chair import PATTERNS, Chair, fit_chair
from salus_learn.imaging.head import fit_head
from salus_learn.store.model import Margins, Model, judge_margins
from salus_learn.store.pool import draw_pool
from salus_learn.tabular.line import fit_line
from salus_learn.tabular.trees import TreeShape, choose_shape, fit_trees
from salus_learn.training.material import Material

INNER_FOLDS = 5
INNER_REPEATS = 2
FEWEST_FOR_A_CHAIR = 12
TOO_FEW = "At least two people with and two without the outcome are needed on either side of every split."


@dataclass(frozen=True, slots=True)
class Choices:
    """What was chosen once on the training people and is used again in their inner folds."""

    tree_shape: TreeShape | None = None
    line_strength: float | None = None
    head_strength: float | None = None


def fit_model(material: Material, index: np.ndarray, *, seed: int) -> Model:
    """Judges, chairs, doubt and thresholds from the cases `index` and nothing else."""
    task, target = material.task, material.target
    if fewest_people(material.y[index], material.persons[index]) < 2:
        raise TrainingError(TOO_FEW)
    # what can be counted at the horizon: NaN for those lost before it
    known = target.at(task.outcome.horizon_days)
    schema = fit_schema(task, [material.readings[case] for case in index])
    x = matrix(task, schema, material.readings)
    model, choices = fit_judges(material, x, schema, index, seed, Choices())
    inner = out_of_fold(material, model, choices, x, index, seed)
    chairs: dict[str, Chair] = {}
    doubts, fused = {}, np.full(len(index), np.nan)
    for pattern, judges in PATTERNS.items():
        rows = _rows(pattern, judges, inner)
        if rows is None or not _enough(known[index[rows]], material.persons[index[rows]]):
            continue
        apart, these = inner.apart(judges, rows), index[rows]
        chair = fit_chair(
            pattern, apart, target.take(these), material.persons[these], seed=seed, horizon_days=task.outcome.horizon_days
        )
        margins, counted = chair.margins(apart), np.isfinite(known[these])
        chairs[pattern] = chair
        doubts[pattern] = fit_doubt(margins[counted], known[these][counted], material.persons[these][counted])
        fused[rows] = margins  # patterns run from poorest to richest, so the richest present stays
    if not chairs:
        raise TrainingError("There are too few cases with both outcomes to train a model.")
    link = next(iter(chairs.values())).link
    risks = np.array([risk_of(margin, link) for margin in fused])
    thresholds = _thresholds(task, inner, risks, known[index])
    slots = None
    if model.head is not None and material.prepared is not None and len(model.head.slots) > 1:
        slots = model.head.by_slot(material.prepared, index)
    shown = inner.by_judge.get("image", np.full(len(index), np.nan))
    whose = material.persons[index]
    pool = draw_pool(x[index], shown, slots, persons=whose, seed=seed)
    return Model(
        task, schema, model.line, model.trees, model.head, chairs, doubts, thresholds, pool=pool,
        always_there=(*always_there(task, schema, x[index], whose), *slots_always_there(task, slots, whose)),
    )  # fmt: skip


def fit_judges(
    material: Material, x: np.ndarray, schema: object, index: np.ndarray, seed: int, choices: Choices
) -> tuple[Model, Choices]:
    """The three judges on `index`; what `choices` leaves open is chosen there."""
    target, persons = material.target, material.persons
    taught = target.take(index)
    line = trees = head = None
    shape = choices.tree_shape
    if x.shape[1]:
        line = fit_line(x[index], taught, persons[index], seed=seed, strength=choices.line_strength)
        shape = shape or choose_shape(x[index], taught, persons[index], seed=seed)
        trees = fit_trees(x[index], taught, shape, seed=seed)
    prepared = material.prepared
    if material.tuned_head is not None:
        head = material.tuned_head
    elif prepared is not None:
        seen = index[prepared.present[index]]
        if len(seen) >= FEWEST_FOR_A_CHAIR and len(np.unique(target.y[seen])) == 2:
            head = fit_head(prepared, index, target, persons, seed=seed, strength=choices.head_strength)
    model = Model(material.task, schema, line, trees, head, {}, {}, {})  # type: ignore[arg-type]
    chosen = Choices(shape, line.strength if line else None, head.strength if head else None)
    return model, chosen


def out_of_fold(
    material: Material, full: Model, choices: Choices, x: np.ndarray, index: np.ndarray, seed: int
) -> Margins:
    """Margins of the cases `index` by judges that have not seen the person, apart from each fold's own reference.

    Averaged over repeats. The references returned are zero: apart margins are what the chair sees.
    """
    y, persons = material.y[index], material.persons[index]
    folds = min(INNER_FOLDS, fewest_people(y, persons))
    names = [name for name in ("line", "trees") if x.shape[1]] + (["image"] if full.head is not None else [])
    total = {name: np.zeros(len(index)) for name in names}
    times = {name: np.zeros(len(index)) for name in names}
    for repeat in range(INNER_REPEATS):
        split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed * 31 + repeat)
        for train, test in split.split(y, y, persons):
            if len(np.unique(y[train])) < 2:
                raise TrainingError(TOO_FEW)
            judges, _ = fit_judges(material, x, full.schema, index[train], seed, choices)
            margins = judge_margins(judges, x, material.prepared, index[test])
            for name, values in margins.by_judge.items():
                apart = values - margins.references[name]
                known = np.isfinite(apart)
                total[name][test[known]] += apart[known]
                times[name][test[known]] += 1
    with np.errstate(invalid="ignore"):
        mean = {name: np.where(times[name] > 0, total[name] / times[name], np.nan) for name in names}
    if material.honest is not None and "image" in mean:
        mean["image"] = np.where(material.honest[index], mean["image"], np.nan)
    if material.image_apart is not None and "image" in mean:
        mean["image"] = material.image_apart[index]
    return Margins(mean, dict.fromkeys(names, 0.0))


def _enough(known: np.ndarray, persons: np.ndarray) -> bool:
    """Whether a chair can be fitted: a dozen people of known outcome, and both outcomes among them."""
    counted = np.isfinite(known)
    return len(np.unique(persons[counted])) >= FEWEST_FOR_A_CHAIR and len(np.unique(known[counted])) == 2


def _rows(pattern: str, judges: tuple[str, ...], inner: Margins) -> np.ndarray | None:
    """The cases on which a pattern's chair can be fitted: those for whom all its judges speak."""
    if any(judge not in inner.by_judge for judge in judges):
        return None
    return np.flatnonzero(np.all([np.isfinite(inner.by_judge[judge]) for judge in judges], axis=0))


def _thresholds(task: RiskTask, inner: Margins, risks: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Operating points per arm from out-of-fold values. Single arms are kept as margins over their reference."""
    arms = {**inner.by_judge, "fused": risks}
    found = {}
    for arm, values in arms.items():
        known = np.isfinite(values) & np.isfinite(y)
        if len(np.unique(y[known])) == 2:
            choose = operating_threshold if arm == "fused" else operating_margin
            found[arm] = choose(values[known], y[known], task.threshold_rule, task.threshold_target)
    return found
