"""The ROC curve of a model report; of several folds' models the mean of their curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import roc_curve

MOST_POINTS = 400


def roc_points(y: np.ndarray, p: np.ndarray, folds: np.ndarray | None = None) -> dict[str, Any]:
    """False and true positive rates (each in [0, 1], rising) over all thresholds, thinned to at most 400 points.

    y: (n,) 0 and 1; p: (n,); folds: (n,), whose model gave each p: then the mean of the folds' curves, each counted by its
    pairs, so that the area under it is the AUROC (within.py). Empty with one outcome only."""
    folds = np.zeros(len(y)) if folds is None else folds
    curves = [_curve(y[folds == fold], p[folds == fold]) for fold in np.unique(folds) if len(np.unique(y[folds == fold])) == 2]
    if not curves:
        return {"n": len(y), "x": [], "y": []}
    false_rate, true_rate = curves[0][:2] if len(curves) == 1 else _mean_curve(curves)
    keep = np.unique(np.linspace(0, len(false_rate) - 1, MOST_POINTS).round().astype(int))
    return {"n": len(y), "x": false_rate[keep].round(5).tolist(), "y": true_rate[keep].round(5).tolist()}


def _curve(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """False and true positive rates, and how many pairs they are of."""
    false_rate, true_rate, _ = roc_curve(y, p, drop_intermediate=True)
    return false_rate, true_rate, int((y == 1).sum() * (y == 0).sum())


def _mean_curve(curves: list[tuple[np.ndarray, np.ndarray, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean sensitivity at each false positive rate, where a curve jumps both before and after the jump."""
    at = np.unique(np.concatenate([false_rate for false_rate, _, _ in curves]))
    pairs = [of for _, _, of in curves]
    heights = [_heights(false_rate, true_rate, at) for false_rate, true_rate, _ in curves]
    return np.repeat(at, 2), np.average(heights, axis=0, weights=pairs).ravel()


def _heights(false_rate: np.ndarray, true_rate: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The curve's height just before and just after each of these false positive rates, (k, 2)."""
    known, first = np.unique(false_rate, return_index=True)
    last = np.append(first[1:], len(false_rate)) - 1
    place = np.searchsorted(known, at, side="right") - 1
    beyond = np.minimum(place + 1, len(known) - 1)
    step = np.where(beyond > place, known[beyond] - known[place], 1.0)
    between = true_rate[last[place]] + (at - known[place]) / step * (true_rate[first[beyond]] - true_rate[last[place]])
    stands = known[place] == at
    return np.column_stack([np.where(stands, true_rate[first[place]], between), np.where(stands, true_rate[last[place]], between)])
