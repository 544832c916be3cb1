"""How well risks ranked outcomes over a cohort. Pure and in plain Python, so that the web process stays light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance
from typing import NamedTuple

from salus_web.cohorts.blurring import Draw, told_width

Z95 = NormalDist().inv_cdf(0.975)


class Area(NamedTuple):
    """An area under the ROC curve with its 95 % interval."""

    value: float
    low: float
    high: float
    error: float = 0.0


class ToldArea(NamedTuple):
    """An area as it may be told, off by at most `at_most`, with an interval that holds the blur as well."""

    value: float
    low: float
    high: float
    at_most: float


def blurred_area(area: Area, cases: int, controls: int, draw: Draw) -> ToldArea:
    """The area moved by up to what one person can move it, to two decimals.

    A case's share of the area is a placement from 0 to 1 over the number of cases, a control's over that of controls, so
    one over the smaller number bounds both; of the variance of the area it is at most a quarter of its square.
    """
    width = 1 / min(cases, controls)
    value = min(max(area.value + width * draw("area"), 0.0), 1.0)
    variance_told = max(area.error**2 + draw("error") * width**2 / 4, 0.0) + width**2 / 3
    reach = Z95 * math.sqrt(variance_told)
    low, high = max(0.0, value - reach), min(1.0, value + reach)
    return ToldArea(round(value, 2), round(low, 2), round(high, 2), told_width(width + 0.005)[0])


def auroc(outcomes: Sequence[int], risks: Sequence[float]) -> Area | None:
    """Area under the ROC curve with DeLong's interval; None with fewer than two of either outcome.

    DeLong, DeLong and Clarke-Pearson 1988, in the form by ranks of Sun and Xu 2014: each case's placement is
    the share of controls below it, each control's the share of cases above it; ties count half.
    """
    cases = [risk for risk, outcome in zip(risks, outcomes, strict=True) if outcome == 1]
    controls = [risk for risk, outcome in zip(risks, outcomes, strict=True) if outcome == 0]
    if len(cases) < 2 or len(controls) < 2:
        return None
    together = _midranks([*cases, *controls])
    own_cases, own_controls = _midranks(cases), _midranks(controls)
    of_cases = [(both - own) / len(controls) for both, own in zip(together, own_cases, strict=False)]
    of_controls = [
        1 - (both - own) / len(cases) for both, own in zip(together[len(cases) :], own_controls, strict=True)
    ]
    area = fmean(of_cases)
    error = math.sqrt(variance(of_cases) / len(cases) + variance(of_controls) / len(controls))
    return Area(area, max(0.0, area - Z95 * error), min(1.0, area + Z95 * error), error)


def _midranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the middle of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + 1 + end) / 2
        start = end
    return ranks
