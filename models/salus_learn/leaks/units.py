"""Two units in one column of numbers: by what the quantity can be, and by two clouds with nothing between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from salus_learn.leaks.finding import MOST_ROWS, Finding
from salus_learn.leaks.table import Table, parts

# what a quantity can be in its usual unit: (low, high, unit, the other unit it is mixed with)
RANGES = {
    "saturation": (0, 100, "%", "mmHg"), "spo2": (0, 100, "%", "mmHg"), "sao2": (0, 100, "%", "mmHg"), "percent": (0, 100, "%", "another unit"),
    "perc": (0, 100, "%", "another unit"), "temperature": (25, 45, "°C", "°F"), "temp": (25, 45, "°C", "°F"), "hba1c": (3, 20, "%", "mmol/mol"),
}  # fmt: skip
# Two clouds: the nearest values of the two this far apart, and their middles this far apart (glucose is 18, creatinine
# 88, haemoglobin in g/L 10 times). Skewed laboratory values reach as far, but with values all the way.
EMPTY_FACTOR, MIDDLE_FACTOR = 2.0, 8.0
SMALLEST_CLOUD, SMALLEST_SHARE, ALIKE = 5, 0.03, 0.2
_FEWEST, _DISTINCT = 30, 20


def two_units(table: Table, columns: Sequence[str]) -> list[Finding]:
    """Number columns in which some values cannot be in the unit of the others."""
    found = []
    for column in columns:
        numbers = table.numbers(column)
        if numbers is None:
            continue
        usual = next((RANGES[part] for part in sorted(parts(column)) if part in RANGES), None)
        one = _out_of_range(table, column, numbers, usual) if usual else None
        one = one or _two_clouds(table, column, numbers)
        found += [one] if one else []
    return found


def _out_of_range(table: Table, column: str, numbers: np.ndarray, usual: tuple[float, float, str, str]) -> Finding | None:
    """Some values, not most, are outside what the quantity can be. numbers (n,), NaN where missing."""
    low, high, unit, other = usual
    known = np.isfinite(numbers)
    odd = known & ((numbers < low) | (numbers > high))
    if known.sum() < 10 or not 0 < odd.sum() < 0.5 * known.sum():
        return None
    sentence = (
        f"{column} holds {int(odd.sum())} of {int(known.sum())} values that cannot be in {unit} "
        f"({numbers[odd].min():g} to {numbers[odd].max():g}): most likely some are in {other}."
    )
    return _of_rows(table, column, odd, known, sentence)


def _two_clouds(table: Table, column: str, numbers: np.ndarray) -> Finding | None:
    """Values fall in two clouds of clearly different size. numbers (n,); zeros and below are left out, NaN is missing."""
    known = np.isfinite(numbers) & (numbers > 0)
    values = np.sort(numbers[known])
    edge = max(SMALLEST_CLOUD, int(np.ceil(SMALLEST_SHARE * len(values))))
    if len(values) < max(_FEWEST, 2 * edge) or len(np.unique(values)) < _DISTINCT:
        return None
    steps = np.log(values[edge : len(values) - edge + 1]) - np.log(values[edge - 1 : len(values) - edge])
    cut = edge + int(np.argmax(steps))
    below, above = values[:cut], values[cut:]
    apart = np.log(np.median(above) / np.median(below))
    spreads = [float(np.ptp(np.log(np.quantile(cloud, [0.1, 0.9])))) for cloud in (below, above)]
    # A cloud with few values, mostly one value or none of the other's spread is a code or a floor, not another unit.
    counts = [np.unique(cloud, return_counts=True)[1] for cloud in (below, above)]
    levels = min(len(one) for one in counts)
    alike = min(spreads) >= ALIKE * max(spreads) and all(one.max() <= 0.5 * one.sum() for one in counts)
    if steps.max() < np.log(EMPTY_FACTOR) or apart < np.log(MIDDLE_FACTOR) or max(spreads) > apart or levels < SMALLEST_CLOUD or not alike:
        return None
    odd = known & ((numbers <= below[-1]) if len(below) < len(above) else (numbers >= above[0]))
    sentence = (
        f"{column} holds two groups of values with nothing between: {len(below)} up to {below[-1]:g} and {len(above)} from "
        f"{above[0]:g} (typically {np.exp(apart):.0f} times as large): most likely two units."
    )
    return _of_rows(table, column, odd, known, sentence)


def _of_rows(table: Table, column: str, odd: np.ndarray, known: np.ndarray, sentence: str) -> Finding:
    rows = tuple(int(table.rows[at]) for at in np.flatnonzero(odd)[:MOST_ROWS])
    return Finding("two_units", "warns", table.name, (column,), rows, int(odd.sum()), int(known.sum()), sentence)
