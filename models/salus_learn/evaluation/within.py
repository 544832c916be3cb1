"""AUROC over pairs of one fold. Each fold's model is calibrated by itself, so a risk of one and a risk of another do not rank
people against each other: pooled over folds a model that knows nothing comes out under one half, the more so the fewer people.

Forman and Scholz (SIGKDD Explor 2010; 12(1): 49) and Airola and others (Comput Stat Data Anal 2011; 55: 1828) show the fault and
average over folds instead; here each fold counts by its pairs, which is the pooled figure less the pairs of two folds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from salus_learn.evaluation.metrics import placements

WITHIN = " within folds"


class Placed(NamedTuple):
    """DeLong's structural components of m cases and n controls, each among the others of its fold, and what each counts:
    the mean of component times weight is the AUROC, on either side. Weight 0 where a fold holds one outcome only."""

    of_cases: np.ndarray
    of_controls: np.ndarray
    weight_cases: np.ndarray
    weight_controls: np.ndarray

    @property
    def area(self) -> float:
        """AUROC over all pairs of one fold."""
        return float((self.of_cases * self.weight_cases).mean())

    def centred(self) -> tuple[np.ndarray, np.ndarray]:
        """Each component's part in the error of the area, (m,) and (n,)."""
        return self.weight_cases * (self.of_cases - self.area), self.weight_controls * (self.of_controls - self.area)

    def minus(self, other: Placed) -> Placed:
        """The components' differences, of two arms on the same people."""
        return self._replace(of_cases=self.of_cases - other.of_cases, of_controls=self.of_controls - other.of_controls)


def placed(y: np.ndarray, p: np.ndarray, folds: np.ndarray | None) -> Placed | None:
    """The components; None where fewer than two cases or two controls have anybody to be compared with.

    y: (n,) 0 and 1; p: (n,), only the order within a fold counts; folds: (n,), whose model gave each p, None of one model."""
    folds = np.zeros(len(y), dtype=int) if folds is None else folds
    found = Placed(*(np.zeros(int((y == outcome).sum())) for outcome in (1, 0, 1, 0)))
    on_cases, on_controls = folds[y == 1], folds[y == 0]
    parts = [(on_cases == fold, on_controls == fold) for fold in np.unique(folds)]
    parts = [(cases, controls) for cases, controls in parts if cases.any() and controls.any()]
    if min(sum(int(part[side].sum()) for part in parts) for side in (0, 1)) < 2:
        return None
    pairs = sum(int(cases.sum()) * int(controls.sum()) for cases, controls in parts)
    for cases, controls in parts:
        m, n = int(cases.sum()), int(controls.sum())
        risks = np.concatenate([p[y == 1][cases], p[y == 0][controls]])
        found.of_cases[cases], found.of_controls[controls] = placements(np.repeat([1, 0], [m, n]), risks)
        found.weight_cases[cases] = len(on_cases) * n / pairs
        found.weight_controls[controls] = len(on_controls) * m / pairs
    return found


def how_paired(folds: np.ndarray | None) -> str:
    """What is added to a method's name where only pairs of one fold count."""
    return "" if folds is None or len(np.unique(folds)) < 2 else WITHIN
