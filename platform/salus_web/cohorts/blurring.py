"""Means that two cohorts cannot be subtracted to one person. Pure: where the draw comes from, the caller says.

The mean of twelve people and the mean of eleven of them tell the twelfth's value, however well the count is rounded. So each
figure is moved by a draw that belongs to the very people and values it is of, in the manner of the cell-key method (Fraser
and Wooton 2005, "A proposed method for confidentialising tabular output to protect against differencing"; for means and sums
Thompson, Broadfoot and Elazar 2013): who asks again gets the same figure, and who asks for one person less gets another draw.
The draw is as wide as what one person can change: values beyond Tukey's fences (1977) are drawn in to them, so nobody can
change a mean by more than the width of the fences divided by the number of people.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles, stdev

FENCE = 1.5  # interquartile ranges beyond the quartiles
Draw = Callable[[str], float]  # the name of a figure → a number from -1 to 1


@dataclass(frozen=True, slots=True)
class Blurred:
    """A mean and a standard deviation, each off by at most `at_most`; `decimals` are those that mean something."""

    mean: float
    sd: float
    at_most: float
    decimals: int


def blurred(values: Sequence[float], draw: Draw) -> Blurred | None:
    """Mean and spread of at least two values; None where most are equal: then the blur itself would have no width."""
    low, _, high = quantiles(values, n=4, method="inclusive")
    between = high - low
    if not 0 < between < math.inf:
        return None
    inside = [min(max(value, low - FENCE * between), high + FENCE * between) for value in values]
    width = (1 + 2 * FENCE) * between / len(values)
    at_most, decimals = told_width(width)
    mean, sd = fmean(inside) + width * draw("mean"), max(stdev(inside) + width * draw("sd"), 0.0)
    return Blurred(round(mean, decimals), round(sd, decimals), at_most, max(decimals, 0))


def told_width(width: float) -> tuple[float, int]:
    """The width of a blur as it may be told, rounding included, and to how many decimals a figure is given.

    Rounded up to 1, 2 or 5 times a power of ten, for the exact width would tell of the people.
    """
    decimals = -math.floor(math.log10(width))
    whole = width + 0.5 * 10.0**-decimals
    power = 10.0 ** math.floor(math.log10(whole))
    return float(f"{next(times * power for times in (1, 2, 5, 10) if times * power >= whole):.3g}"), decimals
