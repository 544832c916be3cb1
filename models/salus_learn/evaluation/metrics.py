"""Figures with intervals. Each returns (value, low, high) at 95 %, NaN where it cannot be computed.

y: (n,) of 0 and 1; p: (n,) probabilities in [0, 1]; flagged: (n,) booleans.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.linear_model import LogisticRegression

Figure = tuple[float, float, float]
NOTHING: Figure = (float("nan"),) * 3
Z95 = float(norm.ppf(0.975))


def placements(y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """DeLong's structural components: per case and per control."""
    cases, controls = p[y == 1], p[y == 0]
    ranks = rankdata(np.concatenate([cases, controls]))
    own_cases, own_controls = rankdata(cases), rankdata(controls)
    of_cases = (ranks[: len(cases)] - own_cases) / len(controls)
    of_controls = 1.0 - (ranks[len(cases) :] - own_controls) / len(cases)
    return of_cases, of_controls


def auroc_delong(y: np.ndarray, p: np.ndarray) -> Figure:
    """Area under the ROC curve with DeLong's interval (1988, fast form Sun and Xu 2014)."""
    if (y == 1).sum() < 2 or (y == 0).sum() < 2:
        return NOTHING
    of_cases, of_controls = placements(y, p)
    area = float(of_cases.mean())
    error = np.sqrt(of_cases.var(ddof=1) / len(of_cases) + of_controls.var(ddof=1) / len(of_controls))
    return area, max(0.0, area - Z95 * error), min(1.0, area + Z95 * error)


def paired_auroc_difference(y: np.ndarray, p_a: np.ndarray, p_b: np.ndarray) -> Figure:
    """AUROC of a minus AUROC of b on the same people, with DeLong's paired interval."""
    if (y == 1).sum() < 2 or (y == 0).sum() < 2:
        return NOTHING
    a_cases, a_controls = placements(y, p_a)
    b_cases, b_controls = placements(y, p_b)
    apart_cases, apart_controls = a_cases - b_cases, a_controls - b_controls
    difference = float(apart_cases.mean())
    error = np.sqrt(apart_cases.var(ddof=1) / len(a_cases) + apart_controls.var(ddof=1) / len(a_controls))
    return difference, difference - Z95 * error, difference + Z95 * error


def proportion_wilson(hits: int, n: int) -> Figure:
    """A proportion with Wilson's interval (1927)."""
    if n == 0:
        return NOTHING
    share = hits / n
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return share, float(centre - half), float(centre + half)


def sensitivity(y: np.ndarray, flagged: np.ndarray) -> Figure:
    """Of those with the outcome, the share flagged."""
    return proportion_wilson(int(flagged[y == 1].sum()), int((y == 1).sum()))


def specificity(y: np.ndarray, flagged: np.ndarray) -> Figure:
    """Of those without the outcome, the share not flagged."""
    return proportion_wilson(int((~flagged[y == 0]).sum()), int((y == 0).sum()))


def accuracy(y: np.ndarray, flagged: np.ndarray) -> Figure:
    """The share for whom flag and outcome agree."""
    return proportion_wilson(int((flagged == (y == 1)).sum()), len(y))


def brier(y: np.ndarray, p: np.ndarray) -> Figure:
    """Mean squared error of the probability, with a normal interval on the mean."""
    if len(y) < 2:
        return NOTHING
    errors = (p - y) ** 2
    half = Z95 * errors.std(ddof=1) / np.sqrt(len(errors))
    return float(errors.mean()), float(errors.mean() - half), float(errors.mean() + half)


def _slope(y: np.ndarray, p: np.ndarray) -> float:
    margin = np.log(np.clip(p, 1e-6, 1 - 1e-6) / np.clip(1 - p, 1e-6, 1 - 1e-6))
    if len(np.unique(y)) < 2 or np.ptp(margin) < 1e-9:
        return float("nan")
    return float(LogisticRegression(C=1e6, max_iter=1000).fit(margin[:, None], y).coef_[0, 0])


def calibration_slope(y: np.ndarray, p: np.ndarray) -> Figure:
    """Slope of a logistic regression of the outcome on the margin (Cox 1958); 1 is right, under 1 over-confident."""
    return bootstrap(_slope, y, p, times=200)


def bootstrap(
    figure: Callable[[np.ndarray, np.ndarray], float], y: np.ndarray, p: np.ndarray, *, times: int = 400
) -> Figure:
    """A figure with its percentile interval over people drawn again with replacement."""
    rng = np.random.default_rng(0)
    draws = [figure(y[draw], p[draw]) for draw in rng.integers(0, len(y), (times, len(y)))]
    finite = np.array([value for value in draws if np.isfinite(value)])
    if finite.size < times / 2:
        return NOTHING
    return figure(y, p), float(np.quantile(finite, 0.025)), float(np.quantile(finite, 0.975))
