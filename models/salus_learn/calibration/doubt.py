"""Venn–Abers intervals and class-conditional conformal sets.

Sources: Vovk and Petej, Venn–Abers predictors (2014); Vovk, Conditional validity of inductive conformal
predictors (2012).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.isotonic import IsotonicRegression

LEVEL = 0.9
_BOOTSTRAPS = 40
_GRID = 33


@dataclass(frozen=True, slots=True)
class Doubt:
    """What out-of-fold fused margins of one pattern say about new ones.

    `grid` are margins at which the interval was worked out once (`low`, `high`, probabilities); between
    them it is interpolated. `controls` and `cases` are the sorted margins of those without and with the outcome.
    """

    grid: np.ndarray
    low: np.ndarray
    high: np.ndarray
    controls: np.ndarray
    cases: np.ndarray

    def interval(self, margin: float, probability: float) -> tuple[float, float]:
        """The 90 % interval of the probability, widened to hold the probability itself."""
        low = float(np.interp(margin, self.grid, self.low))
        high = float(np.interp(margin, self.grid, self.high))
        return min(low, probability), max(high, probability)

    def conformal_set(self, margin: float) -> tuple[int, ...]:
        """The classes that cannot be excluded at 90 %: those whose p-value is above 0.1."""
        above = len(self.controls) - np.searchsorted(self.controls, margin, side="left")
        below = np.searchsorted(self.cases, margin, side="right")
        p_values = ((above + 1) / (len(self.controls) + 1), (below + 1) / (len(self.cases) + 1))
        return tuple(label for label, p_value in enumerate(p_values) if p_value > 1 - LEVEL)

    def to_json(self) -> dict[str, list[float]]:
        """Plain lists for the bundle."""
        return {name: getattr(self, name).tolist() for name in ("grid", "low", "high", "controls", "cases")}

    @classmethod
    def from_json(cls, body: dict[str, list[float]]) -> Doubt:
        """Read what `to_json` wrote."""
        return cls(**{name: np.array(values) for name, values in body.items()})


def fit_doubt(margins: np.ndarray, y: np.ndarray, persons: np.ndarray) -> Doubt:
    """Venn–Abers pairs over bootstrap samples of the calibration people: at each grid margin the 5th
    percentile of the lower and the 95th of the upper probability. margins, y and persons are (n,), out of fold; all
    rows of a person are drawn together."""
    grid = np.unique(np.quantile(margins, np.linspace(0, 1, _GRID)))
    rows = rows_of_people(persons)
    people = np.random.default_rng(0).integers(0, len(rows), (_BOOTSTRAPS, len(rows)))
    draws = [np.concatenate([rows[person] for person in drawn]) for drawn in people]
    pairs = np.array([[_pair(margins[draw], y[draw], margin) for margin in grid] for draw in draws])
    low, high = np.quantile(pairs[:, :, 0], 0.05, axis=0), np.quantile(pairs[:, :, 1], 0.95, axis=0)
    return Doubt(grid, low, high, np.sort(margins[y == 0]), np.sort(margins[y == 1]))


def rows_of_people(persons: np.ndarray) -> list[np.ndarray]:
    """The rows of each person, the people in the order in which they come: with one row each, row i is person i."""
    _, first, of, times = np.unique(persons, return_index=True, return_inverse=True, return_counts=True)
    by_name = np.split(np.argsort(of, kind="stable"), np.cumsum(times)[:-1])
    return [by_name[person] for person in np.argsort(first)]


def _pair(margins: np.ndarray, outcomes: np.ndarray, margin: float) -> tuple[float, float]:
    """Venn–Abers: isotonic probability of the new case were it 0, and were it 1."""
    low_high = []
    for label in (0.0, 1.0):
        model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
        model.fit(np.append(margins, margin), np.append(outcomes, label))
        low_high.append(float(model.predict([margin])[0]))
    return low_high[0], low_high[1]
