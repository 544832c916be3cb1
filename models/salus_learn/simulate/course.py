"""How the drawn people go on from day to day: how ill they are wanders, vital signs and laboratory values follow it, and the
outcome may come at any time. What was drawn of the first index moment stays as it was. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from salus_learn.simulate.causes import BY_NAME, OUTCOME, Values, linear_part, true_probability

# hours after admission at which a risk is asked
MOMENT_HOURS = (24.0, 48.0, 72.0, 96.0)
HORIZON_HOURS = 48.0
# what is another number a day later, causes before what follows from them
SEVERITIES = ("lung_severity", "systemic_severity")
READINGS = (
    "spo2_percent", "resp_rate_per_min", "lactate_mmol_l", "heart_rate_per_min", "temperature_cel", "systolic_mm_hg", "crp_mg_l",
    "wbc_10e3_ul",
)  # fmt: skip
CHANGING = SEVERITIES + READINGS
# a day's severity is this share of the day's before, and a reading's distance from what is expected this share of its distance
_KEPT, _SAME = 0.9, 0.7
_WANDERS = 0.45  # standard deviation of a day's step of a severity, among those who are infected


@dataclass(frozen=True, slots=True)
class Course:
    """`values` of everybody at each of MOMENT_HOURS; `worse_hours` (n,) from admission to the outcome, infinite where it
    does not come."""

    values: tuple[Values, ...]
    worse_hours: np.ndarray


def draw_course(values: Values, rng: np.random.Generator) -> Course:
    """The days after the first index moment of people as they were drawn at it.

    The outcome that was drawn at the first moment comes within its 48 hours. At each later one it comes to those who were
    spared so far, between 24 and 48 hours on, with half the probability that their values of that moment give for 48 hours:
    the first half of that time was decided a day before."""
    n = len(values["site"])
    worse = np.where(values[OUTCOME] > 0, MOMENT_HOURS[0] + rng.uniform(2, HORIZON_HOURS - 1, n), np.inf)
    days = [values]
    for hours in MOMENT_HOURS[1:]:
        days.append(_next_day(days[-1], rng))
        comes = np.isinf(worse) & (rng.random(n) < true_probability(days[-1]) / 2)
        worse = np.where(comes, hours + rng.uniform(HORIZON_HOURS / 2, HORIZON_HOURS, n), worse)
    return Course(tuple(days), worse)


def _next_day(day: Values, rng: np.random.Generator) -> Values:
    """Everybody's values 24 hours later."""
    found, n = dict(day), len(day["site"])
    for name in SEVERITIES:
        step = _WANDERS * rng.standard_normal(n) * (day["infection"] > 0)
        found[name] = _within(name, _KEPT * day[name] + step)
    for name in READINGS:
        off = day[name] - linear_part(name, day)
        fresh = BY_NAME[name].noise * np.sqrt(1 - _SAME**2) * rng.standard_normal(n)
        found[name] = _within(name, linear_part(name, found) + _SAME * off + fresh)
    return found


def _within(name: str, numbers: np.ndarray) -> np.ndarray:
    """(n,) kept within the range of one variable."""
    return np.clip(numbers, BY_NAME[name].low, BY_NAME[name].high)
