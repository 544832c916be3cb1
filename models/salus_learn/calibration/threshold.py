"""Operating thresholds: from which risk on a person is flagged, chosen on training people by the rule of the task file.

Source: Fluss, Faraggi and Reiser, Estimation of the Youden index and its associated cutoff point (2005): where the empirical
best cut jumps from person to person, that of smoothed distributions stays near the true one.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, ndtr

_GRID = 1_024
_EDGE = 1e-9  # probabilities nearer to 0 or 1 are taken for this near; shares nearer to each other for the same


def operating_threshold(probabilities: np.ndarray, y: np.ndarray, rule: str, target: float) -> float:
    """The threshold on a probability (flag when >=) that a task's rule asks for, on training people.

    probabilities (n,) in [0, 1]; y (n,) 0 and 1, both present. sensitivity / specificity: the best other side among
    thresholds that reach the target; alerts_per_100: at most `target` of 100 people flagged; youden: the largest sum of
    sensitivity and specificity, of smoothed distributions where these people allow it.
    """
    if rule == "youden":
        smooth = _smoothed_youden(logit(np.clip(probabilities, _EDGE, 1 - _EDGE)), y)
        if smooth is not None:
            return float(expit(smooth))
    return _by_order(probabilities, y, rule, target)


def operating_margin(margins: np.ndarray, y: np.ndarray, rule: str, target: float) -> float:
    """The same on margins (n,), any finite numbers such as log odds: the threshold is a margin too."""
    smooth = _smoothed_youden(margins, y) if rule == "youden" else None
    return _by_order(margins, y, rule, target) if smooth is None else smooth


def _by_order(values: np.ndarray, y: np.ndarray, rule: str, target: float) -> float:
    """The cut among the values themselves; only their order counts."""
    cuts = np.unique(values)
    flagged = values[None, :] >= cuts[:, None]  # (k, n)
    sensitivity = flagged[:, y == 1].mean(axis=1)
    specificity = 1.0 - flagged[:, y == 0].mean(axis=1)
    if rule == "sensitivity":
        good = np.flatnonzero(sensitivity >= target - _EDGE)
        return float(cuts[good[-1]]) if good.size else float(cuts[0])
    if rule == "specificity":
        good = np.flatnonzero(specificity >= target - _EDGE)
        return float(cuts[good[0]]) if good.size else float(cuts[-1])
    if rule == "alerts_per_100":
        # in people, not shares: 7 of 100 is 7.000000000000001 % by division
        good = np.flatnonzero(flagged.sum(axis=1) <= target * len(y) / 100 + _EDGE)
        return float(cuts[good[0]]) if good.size else float(np.nextafter(cuts[-1], np.inf))
    return float(cuts[int((sensitivity + specificity).argmax())])


def _smoothed_youden(odds: np.ndarray, y: np.ndarray) -> float | None:
    """The cut where the two distributions of log odds, smoothed by Gaussian kernels, lie furthest apart; the middle where
    several do. None where either side has no width."""
    without, having = odds[y == 0], odds[y == 1]
    if min(_width(without), _width(having)) <= 0:
        return None
    grid = np.linspace(odds.min(), odds.max(), _GRID)
    apart = _below(grid, without) - _below(grid, having)
    best = grid[apart >= apart.max() - _EDGE]
    return float(best.mean())


def _width(odds: np.ndarray) -> float:
    """Silverman's rule of thumb for a kernel (1986): 0.9 min(SD, IQR / 1.34) n^(-1/5)."""
    if len(odds) < 2:
        return 0.0
    quarter, three_quarters = np.quantile(odds, [0.25, 0.75])
    return float(0.9 * min(odds.std(ddof=1), (three_quarters - quarter) / 1.34) * len(odds) ** -0.2)


def _below(grid: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """(k,) the smoothed share of people at or below each cut."""
    return ndtr((grid[:, None] - odds[None, :]) / _width(odds)).mean(axis=1)
