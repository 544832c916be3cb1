"""Judges a bundle on cases with a known outcome: each arm and the fused risk on the same people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.contracts import Case, RiskResult
from salus_learn.evaluation.report import arms_report
from salus_learn.explain.points import sigmoid
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle
from salus_learn.store.model import Model

ARMS = ("line", "trees", "image", "fused")


class ArmSheet:
    """Probability and flag of n cases per arm, NaN where an arm has nothing to say."""

    def __init__(self, n: int) -> None:
        self.probabilities = {arm: np.full(n, np.nan) for arm in ARMS}
        self.flagged = {arm: np.zeros(n, dtype=bool) for arm in ARMS}

    def note(self, model: Model, case: int, result: RiskResult) -> None:
        """Enter one case. Thresholds of single arms are kept as margins over the arm's reference."""
        references = {
            "line": model.line.reference if model.line else 0.0,
            "trees": model.trees.reference if model.trees else 0.0,
            "image": model.head.reference if model.head else 0.0,
        }
        for arm, margin in result.arm_margins.items():
            self.probabilities[arm][case] = sigmoid(margin)
            self.flagged[arm][case] = margin - references[arm] >= model.thresholds.get(arm, 0.0)
        if result.probability is not None:
            self.probabilities["fused"][case] = result.probability
            self.flagged["fused"][case] = bool(result.above_threshold)

    def report(self, task_id: str, y: np.ndarray) -> dict[str, Any]:
        """The JSON form of the figures."""
        return arms_report(task_id, y, self.probabilities, self.flagged)


def evaluate(bundle: Bundle, cases: Sequence[Case]) -> dict[str, Any]:
    """Figures of a bundle on cases it has not seen (the caller's word; nothing here can know)."""
    results = score(bundle, [case.snapshot for case in cases])
    sheet = ArmSheet(len(cases))
    for case, result in enumerate(results):
        sheet.note(bundle.model, case, result)
    return sheet.report(bundle.model.task.id, np.array([case.outcome for case in cases]))
