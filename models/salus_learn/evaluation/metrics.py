"""Figures with intervals. Each returns (value, low, high) at 95 %, NaN where it cannot be computed.

y: (n,) of 0 and 1; p: (n,) probabilities in [0, 1]; flagged: (n,) booleans; persons: (n,) names or numbers.
"""

from __future__ import annotations

import math

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


def proportion_wilson(hits: int, n: int) -> Figure:
    """A proportion with Wilson's interval (1927)."""
    if n == 0:
        return NOTHING
    return hits / n, *_wilson(hits / n, n)


def _wilson(share: float, n: float) -> tuple[float, float]:
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return centre - half, centre + half


def proportion_by_person(hit: np.ndarray, persons: np.ndarray) -> Figure:
    """The share of hits (n,) of 0 and 1; where a person (n,) has several cases, Wilson's interval for as many independent cases as
    they are worth (n over the design effect; Rao and Scott, Biometrics 1992; 48: 577), never more than there are. With all hits or
    none the cases of a person count as one."""
    n = len(hit)
    _, of = np.unique(persons, return_inverse=True)
    people = int(of.max()) + 1 if n else 0
    share, low, high = proportion_wilson(int(hit.sum()), n)
    if people in (0, n):
        return share, low, high
    effect = n / people
    if 0 < share < 1 and people > 1:
        spread = (np.bincount(of, weights=hit - share) ** 2).sum() * people / (people - 1) / n**2
        effect = max(1.0, spread / (share * (1 - share) / n))
    return share, *_wilson(share, n / effect)


def sensitivity(y: np.ndarray, flagged: np.ndarray) -> Figure:
    """Of those with the outcome, the share flagged."""
    return proportion_wilson(int(flagged[y == 1].sum()), int((y == 1).sum()))


def specificity(y: np.ndarray, flagged: np.ndarray) -> Figure:
    """Of those without the outcome, the share not flagged."""
    return proportion_wilson(int((~flagged[y == 0]).sum()), int((y == 0).sum()))


def accuracy(y: np.ndarray, flagged: np.ndarray) -> Figure:
    """The share for whom flag and outcome agree."""
    return proportion_wilson(int((flagged == (y == 1)).sum()), len(y))


def brier(y: np.ndarray, p: np.ndarray, persons: np.ndarray) -> Figure:
    """Mean squared error of the probability, with a normal interval on the mean; persons: (n,)."""
    return mean_by_person((p - y) ** 2, persons)


def mean_by_person(values: np.ndarray, persons: np.ndarray) -> Figure:
    """A mean with its normal interval, values summed within a person before squaring. NOTHING of one person."""
    names, of = np.unique(persons, return_inverse=True)
    if len(names) < 2:
        return NOTHING
    mean = float(values.mean())
    sums = np.bincount(of, weights=values - mean)
    half = Z95 * float(np.sqrt(len(names) / (len(names) - 1) * (sums**2).sum())) / len(values)
    return mean, mean - half, mean + half


def calibration_slope(y: np.ndarray, p: np.ndarray, persons: np.ndarray) -> Figure:
    """Slope of a logistic regression of the outcome on the margin (Cox 1958); 1 is right, under 1 over-confident.

    With the percentile interval of 200 draws of the people, who come in the order of their first case; NOTHING where the
    margin separates the outcomes. persons: (n,).
    """
    if len(y) == 0:
        return NOTHING
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    margin = np.log(inside / (1 - inside))
    _, first, of = np.unique(persons, return_index=True, return_inverse=True)
    place, people = np.argsort(np.argsort(first))[of], len(first)
    draws = np.random.default_rng(0).integers(0, people, (SLOPE_DRAWS, people))
    # in parts, so that a hundred thousand people do not fill the memory
    parts = np.array_split(draws, max(1, SLOPE_DRAWS * len(y) // 2_000_000))
    drawn = (np.array([np.bincount(draw, minlength=people)[place] for draw in part], dtype=np.float64) for part in parts)
    own, *rest = [_slopes(margin, y.astype(np.float64), weight) for weight in (np.ones((1, len(y))), *drawn)]
    slopes = np.concatenate(rest)
    finite = slopes[np.isfinite(slopes)]
    if not np.isfinite(own[0]) or finite.size < SLOPE_DRAWS / 2:
        return NOTHING
    return float(own[0]), float(np.quantile(finite, 0.025)), float(np.quantile(finite, 0.975))


def _slopes(margin: np.ndarray, y: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(B,) slopes of B logistic regressions at once by Newton's method; margin and y (n,), each case counted `times` (B, n).
    NaN where there is none."""
    at = np.zeros((len(times), 2))  # offset and slope
    settled = np.zeros(len(times), dtype=bool)
    both = np.minimum(times @ y, times @ (1 - y)) > 0
    for _ in range(50):
        risk = 1 / (1 + np.exp(-np.clip(at[:, :1] + at[:, 1:] * margin, -35, 35)))
        apart, weight = times * (y - risk), times * risk * (1 - risk)
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
    return np.where(settled & both, at[:, 1], np.nan)
