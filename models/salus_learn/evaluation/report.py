"""The report of the arms: line, trees, image and fused on the same people, and whether fusion helped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.evaluation.figures import auroc_by_person, auroc_difference
from salus_learn.evaluation.metrics import (
    Figure,
    accuracy,
    brier,
    calibration_slope,
    sensitivity,
    specificity,
)


def arms_report(
    task_id: str,
    y: np.ndarray,
    probabilities: dict[str, np.ndarray],
    flagged: dict[str, np.ndarray],
    persons: np.ndarray,
    *,
    folds: np.ndarray | None = None,
    uncalibrated: Sequence[str] = (),
) -> dict[str, Any]:
    """The JSON form of an evaluation. Each arm is judged on the people for whom it has a probability;
    the paired difference on those for whom every arm has one; none beside one arm, where nothing is fused. A figure that
    cannot be computed is null; so are those
    of the arms in `uncalibrated` that read a value as a probability. persons: (n,), whose cases they are; folds: (n,), whose
    model gave the risks."""
    arms = {arm: _arm(y, p, flagged[arm], persons, folds) for arm, p in probabilities.items() if np.isfinite(p).any()}
    for arm in set(uncalibrated) & set(arms):
        arms[arm] |= {"brier": [None] * 3, "calibration_slope": [None] * 3}
    return with_best({
        "task": task_id,
        "n": int(len(y)),
        "events": int(y.sum()),
        "arms": arms,
        "singles": _singles(y, {arm: probabilities[arm] for arm in arms}, persons, folds),
    })  # fmt: skip


def with_best(found: dict[str, Any]) -> dict[str, Any]:
    """The same with the best single arm, chosen here and once, how far the fused risk is apart from it, and on how many cases."""
    singles = found["singles"]
    best = max(singles, key=lambda arm: -1.0 if singles[arm]["auroc"] is None else singles[arm]["auroc"], default=None)
    return found | {
        "best_single": best, "fused_minus_best": singles[best]["fused_minus"] if best else None,
        "compared": singles[best]["n"] if best else None,
    }  # fmt: skip


def _singles(
    y: np.ndarray, probabilities: dict[str, np.ndarray], persons: np.ndarray, folds: np.ndarray | None
) -> dict[str, Any]:
    """Each single arm's AUROC and the fused risk's minus it, on the people for whom every arm speaks; none beside one arm."""
    names = [arm for arm in probabilities if arm != "fused"]
    on = np.all([np.isfinite(p) for p in probabilities.values()], axis=0)
    if "fused" not in probabilities or len(names) < 2 or not on.any():
        return {}
    y, persons, fused = y[on], persons[on], probabilities["fused"][on]
    folds = None if folds is None else folds[on]
    return {
        arm: {
            "n": int(on.sum()),
            "auroc": _plain(auroc_by_person(y, probabilities[arm][on], persons, folds))[0],
            "fused_minus": _plain(auroc_difference(y, fused, probabilities[arm][on], persons, folds)),
        }
        for arm in names
    }


def _arm(
    y: np.ndarray, p: np.ndarray, flagged: np.ndarray, persons: np.ndarray, folds: np.ndarray | None
) -> dict[str, Any]:
    known = np.isfinite(p)
    folds = None if folds is None else folds[known]
    y, p, flagged, persons = y[known], p[known], flagged[known], persons[known]
    return {
        "n": int(len(y)),
        "auroc": _plain(auroc_by_person(y, p, persons, folds)),
        "brier": _plain(brier(y, p, persons)),
        "calibration_slope": _plain(calibration_slope(y, p, persons)),
        "sensitivity": _plain(sensitivity(y, flagged)),
        "specificity": _plain(specificity(y, flagged)),
        "accuracy": _plain(accuracy(y, flagged)),
    }


def _plain(figure: Figure) -> list[float | None]:
    """Six digits, null for what is not computable."""
    return [round(float(value), 6) if math.isfinite(value) else None for value in figure]
