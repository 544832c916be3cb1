"""What is learnt: yes or no, or time to an event. The additive judges and the chair are fitted and compared here for both.

Time to an event is Cox's proportional hazards (1972) with Breslow's handling of ties and baseline (1974); the ridge and
the held-out partial likelihood follow Verweij and van Houwelingen (1993, 1994).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.tasks.horizon import known_at


@dataclass(frozen=True, slots=True)
class Target:
    """y (n,): 1 where the outcome was seen, else 0. time (n,), days from the index to the outcome or to the last time
    the person was seen without it; None where the question is yes or no."""

    y: np.ndarray
    time: np.ndarray | None = None

    @property
    def is_survival(self) -> bool:
        """Whether it is time to an event."""
        return self.time is not None

    def take(self, index: np.ndarray) -> Target:
        """The same for some of the people."""
        return Target(self.y[index], None if self.time is None else self.time[index])

    def at(self, horizon_days: float) -> np.ndarray:
        """(n,) 1.0 where the outcome came by the horizon, 0.0 where the person was seen without it until then, NaN
        where nobody knows (lost before). For yes or no, y itself."""
        if self.time is None:
            return self.y.astype(np.float64)
        return known_at(self.y, self.time, horizon_days)


def fewest_people(y: np.ndarray, persons: np.ndarray) -> int:
    """How many people the rarer outcome is of: as many folds can have it on either side, however many cases they have."""
    return min(len(np.unique(persons[y == outcome])) for outcome in (0, 1))


def ridge_fit(design: np.ndarray, target: Target, strength: float) -> tuple[np.ndarray, float]:
    """Weights (d,) and offset of a ridge regression on a standardised design (n, d): logistic, or Cox (offset 0).

    `strength` is the inverse ridge, on the scale of scikit-learn's C.
    """
    if not target.is_survival:
        model = LogisticRegression(C=strength, max_iter=2000).fit(design, target.y)
        return model.coef_[0], float(model.intercept_[0])

    def loss(weight: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = cox_loss(design @ weight, target)
        return value + weight @ weight / (2 * strength), design.T @ slope + weight / strength

    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return found.x, 0.0


def margin_loss(margins: np.ndarray, target: Target) -> float:
    """How badly margins (n,) fit: summed log loss, or minus Cox's partial log likelihood."""
    if target.is_survival:
        return cox_loss(margins, target)[0]
    return float(np.logaddexp(0.0, np.where(target.y == 1, -margins, margins)).sum())


def cox_loss(margins: np.ndarray, target: Target) -> tuple[float, np.ndarray]:
    """Minus the partial log likelihood (Breslow's ties) and its slope in each margin (n,)."""
    assert target.time is not None
    order = np.argsort(-target.time, kind="stable")  # latest first, so that a running sum is the risk set
    time, event, sorted_margins = target.time[order], target.y[order] == 1, margins[order]
    top = sorted_margins.max()
    grown = np.exp(sorted_margins - top)
    last_of_tie = np.searchsorted(-time, -time, side="right") - 1
    at_risk = np.cumsum(grown)[last_of_tie]
    loss = -float((sorted_margins[event] - np.log(at_risk[event]) - top).sum())
    # each person carries the hazard of every event up to the own time
    share = np.where(event, 1.0 / at_risk, 0.0)
    from_end = np.cumsum(share[::-1])[::-1]
    first_of_tie = np.searchsorted(-time, -time, side="left")
    slope = grown * from_end[first_of_tie] - event
    out = np.empty_like(slope)
    out[order] = slope
    return loss, out


def breslow(margins: np.ndarray, target: Target) -> tuple[np.ndarray, np.ndarray]:
    """Times of events (k,) and the cumulative baseline hazard there (k,), for a person of margin 0."""
    assert target.time is not None
    order = np.argsort(-target.time, kind="stable")
    time, event = target.time[order], target.y[order] == 1
    at_risk = np.cumsum(np.exp(margins[order]))[np.searchsorted(-time, -time, side="right") - 1]
    times, where = np.unique(time[event], return_inverse=True)
    return times, np.cumsum(np.bincount(where, weights=1.0 / at_risk[event]))


def choose_strength(
    design: np.ndarray, target: Target, persons: np.ndarray, strengths: tuple[float, ...], *, seed: int
) -> float:
    """The inverse ridge with the least loss over inner folds by person; the strongest ridge when folds are impossible."""
    folds = min(5, fewest_people(target.y, persons))
    if folds < 2:
        return strengths[0]
    losses = np.zeros(len(strengths))
    split = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    for train, test in split.split(design, target.y, persons):
        if len(np.unique(target.y[train])) < 2 or target.y[test].sum() == 0:
            continue
        for at, strength in enumerate(strengths):
            weight, offset = ridge_fit(design[train], target.take(train), strength)
            losses[at] += margin_loss(offset + design[test] @ weight, target.take(test))
    return strengths[int(losses.argmin())]
