"""The additive chair: a ridge logistic regression with non-negative weights over out-of-fold margins.

Kept from believing a weak judge on small data by shrinking towards what would be right if record and image were
separate evidence and every judge calibrated: log odds of separate evidence add, so each part has weight 1, shared by
its judges (line and trees say the same of the same record). The ridge's strength is chosen by cross-validation over persons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.model_selection import StratifiedGroupKFold

JUDGES = ("line", "trees", "image")
PATTERNS: dict[str, tuple[str, ...]] = {
    "record": ("line", "trees"),
    "image": ("image",),
    "record+image": ("line", "trees", "image"),
}
PARTS = {"line": "record", "trees": "record", "image": "image"}
RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass(frozen=True, slots=True)
class Chair:
    """m = offset + sum of weight * (margin - reference) over the judges of one pattern. weight >= 0."""

    pattern: str
    judges: tuple[str, ...]
    weight: np.ndarray
    offset: float
    ridge: float

    def margins(self, apart: np.ndarray) -> np.ndarray:
        """Fused margins (n,) from the judges' margins over their references (n, judges)."""
        return self.offset + apart @ self.weight


def fit_chair(pattern: str, apart: np.ndarray, y: np.ndarray, persons: np.ndarray, *, seed: int) -> Chair:
    """Fit one pattern's chair on out-of-fold margins over their references (n, judges)."""
    judges = PATTERNS[pattern]
    target = separate_evidence(judges)
    folds = int(min(5, np.bincount(y.astype(int), minlength=2).min()))
    losses = np.zeros(len(RIDGES))
    if folds >= 2:
        for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(apart, y, persons):
            for at, ridge in enumerate(RIDGES):
                weight, offset = _solve(apart[train], y[train], ridge, target)
                margin = offset + apart[test] @ weight
                losses[at] += np.logaddexp(0.0, np.where(y[test] == 1, -margin, margin)).sum()
    ridge = RIDGES[int(losses.argmin())]
    weight, offset = _solve(apart, y, ridge, target)
    return Chair(pattern, judges, weight, offset, ridge)


def separate_evidence(judges: tuple[str, ...]) -> np.ndarray:
    """The weights (judges,) of calibrated judges whose parts are independent given the outcome."""
    parts = [PARTS[judge] for judge in judges]
    return np.array([1.0 / parts.count(part) for part in parts])


def _solve(apart: np.ndarray, y: np.ndarray, ridge: float, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights >= 0 (judges,) and offset that minimise log loss + ridge * |weight - target|^2."""
    judges = apart.shape[1]
    prior = float(np.clip(y.mean(), 1e-3, 1 - 1e-3))

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weight, offset = values[:-1], values[-1]
        margin = offset + apart @ weight
        risk = 1.0 / (1.0 + np.exp(-margin))
        value = np.logaddexp(0.0, np.where(y == 1, -margin, margin)).sum() + ridge * ((weight - target) ** 2).sum()
        slope = np.append(apart.T @ (risk - y) + 2 * ridge * (weight - target), (risk - y).sum())
        return float(value), slope

    start = np.append(target, np.log(prior / (1 - prior)))
    bounds = [(0.0, None)] * judges + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])
