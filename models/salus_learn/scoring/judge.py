"""Judges a bundle on cases with a known outcome: each arm and the fused risk on the same people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.contracts import JUDGES, Case, RiskResult, RiskState, RiskTask
from salus_learn.evaluation.kinds import kinds_report
from salus_learn.evaluation.report import arms_report
from salus_learn.evaluation.survival import survival_report
from salus_learn.explain.points import sigmoid
from salus_learn.features.target import Target
from salus_learn.scoring.account import word_of
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle
from salus_learn.store.model import Model

ARMS = (*JUDGES, "fused")


class ArmSheet:
    """Probability and flag of n cases per arm, NaN where an arm has nothing to say; `folds` (n,), whose model spoke."""

    def __init__(self, n: int) -> None:
        self.probabilities = {arm: np.full(n, np.nan) for arm in ARMS}
        self.flagged = {arm: np.zeros(n, dtype=bool) for arm in ARMS}
        self.interval = np.full((n, 2), np.nan)
        self.sets = np.zeros((n, 2), dtype=bool)
        self.abstained = np.zeros(n, dtype=bool)
        self.folds = np.zeros(n, dtype=int)
        self.kinds: np.ndarray | None = None
        self.free: np.ndarray | None = None
        self.grid: np.ndarray | None = None

    def follow(self, grid: np.ndarray) -> None:
        """Also note the predicted share without the outcome at these times (k,), for time to an event."""
        self.grid = grid
        self.free = np.full((len(self.flagged["fused"]), len(grid)), np.nan)

    def tell_kinds(self, kinds: int) -> None:
        """Also note the risk of each of so many kinds."""
        self.kinds = np.full((len(self.abstained), kinds), np.nan)

    def note(self, model: Model, case: int, result: RiskResult, fold: int = 0) -> None:
        """Enter one case. Thresholds of single arms are kept as margins over the arm's reference."""
        self.folds[case] = fold
        references = {
            "line": model.line.reference if model.line else 0.0,
            "trees": model.trees.reference if model.trees else 0.0,
            "image": model.head.reference if model.head else 0.0,
        }
        for arm, margin in result.arm_margins.items():
            self.probabilities[arm][case] = sigmoid(margin)
            self.flagged[arm][case] = margin - references[arm] >= model.thresholds.get(arm, 0.0)
        if self.kinds is not None and result.kinds:
            self.kinds[case] = [kind.probability for kind in result.kinds]
        if result.probability is not None and result.interval is not None:
            self.interval[case] = result.interval
            self.sets[case] = [word_of(model, label) in result.prediction_set for label in (0, 1)]
            self.abstained[case] = result.state is RiskState.ABSTAINED
            self.probabilities["fused"][case] = result.probability
            self.flagged["fused"][case] = bool(result.above_threshold)
            if self.free is not None and self.grid is not None:
                self.free[case] = model.chairs[result.pattern].free_of_event(float(result.margin or 0.0), self.grid)

    def report(self, task: RiskTask, target: Target, persons: np.ndarray) -> dict[str, Any]:
        """The JSON form of the figures; persons: (n,), whose cases they are. Of time to an event: those whose outcome at the
        horizon is known, and `survival`."""
        y = target.at(task.outcome.horizon_days)
        known = np.isfinite(y)
        found = arms_report(
            task.id, y[known].astype(int), {arm: p[known] for arm, p in self.probabilities.items()},
            {arm: flags[known] for arm, flags in self.flagged.items()}, persons[known], folds=self.folds[known],
            uncalibrated=JUDGES if target.is_survival else (),
        )  # fmt: skip
        if target.time is not None and self.free is not None and self.grid is not None:
            found["survival"] = survival_report(
                target.time, target.y, self.probabilities, self.free, self.grid, task.outcome.horizon_days, persons, self.folds
            )
        return found


def new_sheet(task: RiskTask, target: Target) -> ArmSheet:
    """An empty sheet for all cases; of time to an event with twenty times up to the horizon."""
    sheet = ArmSheet(len(target.y))
    if task.outcome.kinds:
        sheet.tell_kinds(len(task.outcome.kinds))
    if target.time is not None:
        first = min(float(target.time.min()), task.outcome.horizon_days / 20)
        sheet.follow(np.linspace(first, task.outcome.horizon_days, 20))
    return sheet


def target_of(cases: Sequence[Case]) -> Target:
    """The outcomes of cases, with their times where they have them."""
    y = np.array([case.outcome for case in cases])
    if any(case.time_days is None for case in cases):
        return Target(y)
    return Target(y, np.array([case.time_days for case in cases], dtype=np.float64))


def persons_of(cases: Sequence[Case]) -> np.ndarray:
    """Each case's person (n,), as a number."""
    return np.unique([case.snapshot.person for case in cases], return_inverse=True)[1]


def kinds_of(task: RiskTask, cases: Sequence[Case]) -> np.ndarray:
    """Each case's kind (n,), as its place in the task file; -1 for none."""
    names = [name for name, _ in task.outcome.kinds]
    return np.array([-1 if case.kind is None else names.index(case.kind) for case in cases], dtype=int)


def add_kinds(found: dict[str, Any], task: RiskTask, cases: Sequence[Case], sheet: ArmSheet, persons: np.ndarray) -> None:
    """Add the figures of the kinds to a report, where the task names kinds and the model tells them apart."""
    if sheet.kinds is None or not np.isfinite(sheet.kinds).any():
        return
    names = [name for name, _ in task.outcome.kinds]
    found["kinds"] = kinds_report(names, sheet.kinds, sheet.probabilities["fused"], kinds_of(task, cases), persons, sheet.folds)


def evaluate(bundle: Bundle, cases: Sequence[Case]) -> dict[str, Any]:
    """Figures of a bundle on cases it has not seen (the caller's word; nothing here can know)."""
    sheet = fill_sheet(bundle, cases)
    found = sheet.report(bundle.model.task, target_of(cases), persons_of(cases))
    add_kinds(found, bundle.model.task, cases, sheet, persons_of(cases))
    return found


def fill_sheet(bundle: Bundle, cases: Sequence[Case]) -> ArmSheet:
    """Score the cases by the final model and note every arm."""
    sheet = new_sheet(bundle.model.task, target_of(cases))
    for case, result in enumerate(score(bundle, [case.snapshot for case in cases])):
        sheet.note(bundle.model, case, result)
    return sheet
