"""DeLong's interval written plainly, for cases of different people: what the library's own is held against."""

from __future__ import annotations

import numpy as np
from salus_learn.evaluation.metrics import Z95, Figure, placements


def delong(y: np.ndarray, p: np.ndarray) -> tuple[float, float]:
    """Area under the ROC curve and its standard error (DeLong 1988)."""
    of_cases, of_controls = placements(y, p)
    return float(of_cases.mean()), float(np.sqrt(of_cases.var(ddof=1) / len(of_cases) + of_controls.var(ddof=1) / len(of_controls)))


def auroc_delong(y: np.ndarray, p: np.ndarray) -> Figure:
    """The area with its interval, formed on the logit."""
    area, error = delong(y, p)
    half = Z95 * error / (area * (1 - area))
    low, high = (1 / (1 + np.exp(-(np.log(area / (1 - area)) + side * half))) for side in (-1, 1))
    return area, float(low), float(high)


def paired_auroc_difference(y: np.ndarray, p_a: np.ndarray, p_b: np.ndarray) -> Figure:
    """AUROC of a minus AUROC of b on the same people, with DeLong's paired interval."""
    a_cases, a_controls = placements(y, p_a)
    b_cases, b_controls = placements(y, p_b)
    apart_cases, apart_controls = a_cases - b_cases, a_controls - b_controls
    difference = float(apart_cases.mean())
    error = np.sqrt(apart_cases.var(ddof=1) / len(a_cases) + apart_controls.var(ddof=1) / len(a_controls))
    return difference, difference - Z95 * error, difference + Z95 * error
