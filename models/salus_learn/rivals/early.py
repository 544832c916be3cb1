"""Early fusion: the trees get the image judge's margin as one more column (stacking, Wolpert 1992)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import JUDGES
from salus_learn.features.target import Target
from salus_learn.rivals.evidence import Evidence
from salus_learn.tabular.trees import Trees, choose_shape, fit_trees

_IMAGE = JUDGES.index("image")


@dataclass(frozen=True, slots=True)
class Early:
    """Trees on the record's columns and the image's margin; either may be missing, as trees allow."""

    trees: Trees

    def margins(self, evidence: Evidence) -> np.ndarray:
        """Margins (n,) in log odds."""
        return self.trees.quick_margins(_design(evidence))


def fit_early(evidence: Evidence, y: np.ndarray, persons: np.ndarray, seed: int) -> Early:
    """Fit on n cases with out-of-fold margins; depth and rounds by inner folds over persons, as for the record's trees."""
    x, target = _design(evidence), Target(y)
    return Early(fit_trees(x, target, choose_shape(x, target, persons, seed=seed), seed=seed))


def _design(evidence: Evidence) -> np.ndarray:
    return np.column_stack([evidence.columns, evidence.margins[:, _IMAGE]])  # (n, d + 1)
