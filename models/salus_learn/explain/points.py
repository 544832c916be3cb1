"""Terms of the margin to percentage points of risk, exactly, and the check that they add up.

r_i = term_i * (p - p0) / (m - m0): the Aumann–Shapley value of the logistic function along the straight path from
the reference to the patient (Aumann and Shapley 1974; Sundararajan 2017). At m = m0 the factor is its limit p0 (1 - p0).
"""

from __future__ import annotations

import math

from salus_learn.errors import ExplanationError

TOLERANCE = 1e-6


def sigmoid(margin: float) -> float:
    """Probability of a margin, without overflow."""
    if margin >= 0:
        return 1.0 / (1.0 + math.exp(-margin))
    grown = math.exp(margin)
    return grown / (1.0 + grown)


def risk_of(margin: float, link: str) -> float:
    """The risk in [0, 1] of a margin. logit: log odds; cloglog: log of the cumulative hazard, p = 1 - exp(-exp(m))."""
    if link == "logit":
        return sigmoid(margin)
    return -math.expm1(-math.exp(min(margin, 500.0)))


def points_per_margin(margin: float, reference_margin: float, link: str = "logit") -> float:
    """Percentage points of risk for one unit of margin on the way from reference to patient.

    On a straight path the Aumann–Shapley value of any smooth link is this one quotient, whichever the link.
    """
    apart = margin - reference_margin
    p, p0 = risk_of(margin, link), risk_of(reference_margin, link)
    if abs(apart) >= 1e-9:
        return 100.0 * (p - p0) / apart
    if link == "logit":
        return 100.0 * p0 * (1.0 - p0)
    return 100.0 * math.exp(reference_margin) * (1.0 - p0)


def check_sum(points: list[float], probability: float, reference_probability: float) -> None:
    """Raise ExplanationError unless the points sum to 100 (p - p0) within 1e-6 of probability."""
    gap = abs(math.fsum(points) / 100.0 - (probability - reference_probability))
    if not gap <= TOLERANCE:
        raise ExplanationError(f"The reasons miss the risk by {gap:.2g}; they are not shown.")
