"""The floor: the plain average of the single judges, each calibrated by itself (Platt 1999). It learns no weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import JUDGES
from salus_learn.features.target import Target, ridge_fit
from salus_learn.rivals.evidence import Evidence

WEAK_RIDGE = 100.0
FEWEST = 12


@dataclass(frozen=True, slots=True)
class Mean:
    """Per judge a slope and an offset (3,), NaN for a judge that never spoke; `otherwise` is the margin of nobody's word."""

    slope: np.ndarray
    offset: np.ndarray
    otherwise: float

    def margins(self, evidence: Evidence) -> np.ndarray:
        """Margins (n,) in log odds: the average of the judges that speak for a case."""
        calibrated = evidence.margins * self.slope + self.offset  # (n, 3)
        speaks = np.isfinite(calibrated)
        total = np.where(speaks, calibrated, 0.0).sum(axis=1)
        return np.where(speaks.any(axis=1), total / np.maximum(speaks.sum(axis=1), 1), self.otherwise)


def fit_mean(evidence: Evidence, y: np.ndarray, persons: np.ndarray, seed: int) -> Mean:
    """Calibrate each judge on its own out-of-fold margins. A judge that points the wrong way there counts for nothing."""
    slope, offset = np.full(len(JUDGES), np.nan), np.full(len(JUDGES), np.nan)
    for at in range(len(JUDGES)):
        margin = evidence.margins[:, at]
        known = np.isfinite(margin)
        if known.sum() < FEWEST or len(np.unique(y[known])) < 2:
            continue
        spread = float(margin[known].std()) or 1.0
        weight, bias = ridge_fit(margin[known, None] / spread, Target(y[known]), WEAK_RIDGE)
        slope[at], offset[at] = (weight[0] / spread, bias) if weight[0] > 0 else (0.0, _log_odds(y[known]))
    return Mean(slope, offset, _log_odds(y))


def _log_odds(y: np.ndarray) -> float:
    share = float(np.clip(y.mean(), 1e-3, 1 - 1e-3))
    return float(np.log(share / (1 - share)))
