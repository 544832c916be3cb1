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
    uncalibrated: Sequence[str] = (),
) -> dict[str, Any]:
    """The JSON form of an evaluation. Each arm is judged on the people for whom it has a probability;
    the paired difference on those for whom every arm has one; none beside one arm, where nothing is fused. A figure that
    cannot be computed is null; so are those
    of the arms in `uncalibrated` that read a value as a probability. persons: (n,), whose cases they are."""
    arms = {arm: _arm(y, p, flagged[arm], persons) for arm, p in probabilities.items() if np.isfinite(p).any()}
    for arm in set(uncalibrated) & set(arms):
        arms[arm] |= {"brier": [None] * 3, "calibration_slope": [None] * 3}
    singles = [arm for arm in arms if arm != "fused"]
    together = np.all([np.isfinite(probabilities[arm]) for arm in arms], axis=0)
    best, difference = None, None
    if "fused" in arms and len(singles) > 1 and together.any():
        areas = {arm: auroc_by_person(y[together], probabilities[arm][together], persons[together])[0] for arm in singles}
        best = max(areas, key=lambda arm: -1.0 if math.isnan(areas[arm]) else areas[arm])
        pair = probabilities["fused"][together], probabilities[best][together]
        difference = _plain(auroc_difference(y[together], *pair, persons[together]))
    return {
        "task": task_id,
        "n": int(len(y)),
        "events": int(y.sum()),
        "arms": arms,
        "best_single": best,
        "fused_minus_best": difference,
    }


def _arm(y: np.ndarray, p: np.ndarray, flagged: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    known = np.isfinite(p)
    y, p, flagged, persons = y[known], p[known], flagged[known], persons[known]
    return {
        "n": int(len(y)),
        "auroc": _plain(auroc_by_person(y, p, persons)),
        "brier": _plain(brier(y, p, persons)),
        "calibration_slope": _plain(calibration_slope(y, p, persons)),
        "sensitivity": _plain(sensitivity(y, flagged)),
        "specificity": _plain(specificity(y, flagged)),
        "accuracy": _plain(accuracy(y, flagged)),
    }


def _plain(figure: Figure) -> list[float | None]:
    """Six digits, null for what is not computable."""
    return [round(float(value), 6) if math.isfinite(value) else None for value in figure]
