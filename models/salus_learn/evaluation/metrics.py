"""Figures with intervals. Each returns (value, low, high) at 95 %, NaN where it cannot be computed.

y: (n,) of 0 and 1; p: (n,) probabilities in [0, 1]; flagged: (n,) booleans.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, rankdata

Figure = tuple[float, float, float]
NOTHING: Figure = (float("nan"),) * 3
Z95 = float(norm.ppf(0.975))
SLOPE_DRAWS = 200


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


def calibration_slope(y: np.ndarray, p: np.ndarray) -> Figure:
    """Slope of a logistic regression of the outcome on the margin (Cox 1958); 1 is right, under 1 over-confident.

    With the percentile interval of 200 draws of the people; NOTHING where the margin separates the outcomes.
    """
    if len(y) == 0:
        return NOTHING
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    margin = np.log(inside / (1 - inside))
    draws = np.vstack([np.arange(len(y)), np.random.default_rng(0).integers(0, len(y), (SLOPE_DRAWS, len(y)))])
    # in parts, so that a hundred thousand people do not fill the memory
    parts = np.array_split(draws, max(1, draws.size // 2_000_000))
    slopes = np.concatenate([_slopes(margin[part], y[part].astype(np.float64)) for part in parts])
    finite = slopes[1:][np.isfinite(slopes[1:])]
    if not np.isfinite(slopes[0]) or finite.size < SLOPE_DRAWS / 2:
        return NOTHING
    return float(slopes[0]), float(np.quantile(finite, 0.025)), float(np.quantile(finite, 0.975))


def _slopes(margin: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(B,) slopes of B logistic regressions at once by Newton's method; margin and y (B, n). NaN where there is none."""
    at = np.zeros((len(y), 2))  # offset and slope
    settled = np.zeros(len(y), dtype=bool)
    for _ in range(50):
        risk = 1 / (1 + np.exp(-np.clip(at[:, :1] + at[:, 1:] * margin, -35, 35)))
        apart, weight = y - risk, risk * (1 - risk)
        slope_0, slope_1 = apart.sum(axis=1), (apart * margin).sum(axis=1)
        a, b, d = weight.sum(axis=1), (weight * margin).sum(axis=1), (weight * margin**2).sum(axis=1)
        whole = a * d - b * b
        usable = whole > 1e-10 * np.maximum(a * d, 1e-12)
        safe = np.where(usable, whole, 1.0)
        step = np.column_stack([(d * slope_0 - b * slope_1) / safe, (a * slope_1 - b * slope_0) / safe])
        at += np.where(usable[:, None], np.clip(step, -4, 4), 0.0)
        settled = usable & (np.abs(step).max(axis=1) < 1e-8)
        if settled.all():
            break
    return np.where(settled & (np.ptp(y, axis=1) > 0), at[:, 1], np.nan)
