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

from salus_learn.features.target import Target, breslow, cox_loss, fewest_people, margin_loss

PATTERNS: dict[str, tuple[str, ...]] = {
    "record": ("line", "trees"),
    "image": ("image",),
    "record+image": ("line", "trees", "image"),
}
PARTS = {"line": "record", "trees": "record", "image": "image"}
RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


@dataclass(frozen=True, slots=True)
class Chair:
    """m = offset + sum of weight * (margin - reference) over the judges of one pattern. weight >= 0.

    `link` says what a margin is: "logit" of the risk, or "cloglog", the log of the cumulative hazard at the horizon.
    For the latter `times` (k,) days and `hazard` (k,) are the baseline's cumulative hazard, of a person at the reference.
    """

    pattern: str
    judges: tuple[str, ...]
    weight: np.ndarray
    offset: float
    ridge: float
    link: str = "logit"
    times: np.ndarray | None = None
    hazard: np.ndarray | None = None

    def margins(self, apart: np.ndarray) -> np.ndarray:
        """Fused margins (n,) from the judges' margins over their references (n, judges)."""
        return self.offset + apart @ self.weight

    def free_of_event(self, margin: float, grid: np.ndarray) -> np.ndarray:
        """The share without the outcome at the times `grid` (k,) of a person with this margin (cloglog only)."""
        assert self.times is not None and self.hazard is not None
        place = np.searchsorted(self.times, grid, side="right") - 1
        hazard = np.where(place >= 0, self.hazard[np.maximum(place, 0)], 0.0)
        return np.exp(-hazard * np.exp(margin - self.offset))


def fit_chair(
    pattern: str, apart: np.ndarray, target: Target, persons: np.ndarray, *, seed: int, horizon_days: float = 0.0
) -> Chair:
    """Fit one pattern's chair on out-of-fold margins over their references (n, judges)."""
    y = target.y
    judges = PATTERNS[pattern]
    wanted = separate_evidence(judges)
    folds = min(5, fewest_people(y, persons))
    losses = np.zeros(len(RIDGES))
    if folds >= 2:
        for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(apart, y, persons):
            for at, ridge in enumerate(RIDGES):
                weight, offset = _solve(apart[train], target.take(train), ridge, wanted)
                losses[at] += margin_loss(offset + apart[test] @ weight, target.take(test))
    ridge = RIDGES[int(losses.argmin())]
    weight, offset = _solve(apart, target, ridge, wanted)
    if not target.is_survival:
        return Chair(pattern, judges, weight, offset, ridge)
    times, hazard = breslow(apart @ weight, target)
    reached = hazard[times <= horizon_days]
    # a person at the reference has this log cumulative hazard at the horizon; before any outcome it is next to none
    offset = float(np.log(reached[-1])) if len(reached) else -20.0
    return Chair(pattern, judges, weight, offset, ridge, "cloglog", times, hazard)


def separate_evidence(judges: tuple[str, ...]) -> np.ndarray:
    """The weights (judges,) of calibrated judges whose parts are independent given the outcome."""
    parts = [PARTS[judge] for judge in judges]
    return np.array([1.0 / parts.count(part) for part in parts])


def _solve(apart: np.ndarray, target: Target, ridge: float, wanted: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights >= 0 (judges,) and offset that minimise loss + ridge * |weight - wanted|^2. Cox has no offset: 0."""
    judges = apart.shape[1]
    y = target.y
    prior = float(np.clip(y.mean(), 1e-3, 1 - 1e-3))

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weight, offset = values[:-1], values[-1]
        margin = offset + apart @ weight
        if target.is_survival:
            value, slope = cox_loss(margin, target)
        else:
            value, slope = margin_loss(margin, target), 1.0 / (1.0 + np.exp(-margin)) - y
        pull = 2 * ridge * (weight - wanted)
        free = 0.0 if target.is_survival else slope.sum()
        return value + ridge * ((weight - wanted) ** 2).sum(), np.append(apart.T @ slope + pull, free)

    start = np.append(wanted, 0.0 if target.is_survival else np.log(prior / (1 - prior)))
    bounds = [(0.0, None)] * judges + [(None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:-1], float(found.x[-1])
