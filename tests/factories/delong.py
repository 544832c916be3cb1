"""DeLong's interval written plainly, for cases of different people: what the library's own is held against."""

from __future__ import annotations

import numpy as np
from salus_learn.evaluation.metrics import NOTHING, Z95, Figure, placements


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
