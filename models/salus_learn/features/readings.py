"""What one feature reads in one snapshot: window, aggregation, unit. Columns are made in columns.py.

As for the known scores, nothing is guessed: a number of the record without its unit, and two different values of the moment
that is read, are refused with a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from salus_learn.contracts import FeatureSpec, PatientSnapshot, RecordValue, RiskTask
from salus_learn.errors import SnapshotError
from salus_learn.tasks.limits import Limit, limit_of
from salus_learn.tasks.regions import measured


@dataclass(frozen=True, slots=True)
class Reading:
    """One feature's value in one snapshot; `value` is None where nothing was recorded. With a `sign` it is the limit that the
    value was below or above: the nearest number that is known of it."""

    value: float | str | None
    source: str
    time: datetime | None
    sign: str = ""

    def as_text(self, spec: FeatureSpec) -> str:
        """The value as a person would read it, without its unit."""
        if self.value is None:
            return "not recorded"
        if isinstance(self.value, str):
            return self.value.replace(spec.separator, ", ") if spec.separator else self.value
        if spec.aggregation == "count":
            return {0.0: "no", 1.0: "yes"}.get(self.value, f"{self.value:.0f} times")
        return f"{self.sign}{plainly(self.value)}"


NOTHING = Reading(None, "", None)


def plainly(number: float) -> str:
    """A number without an exponent: whole from a thousand on, else four digits (12345, 0.0001234)."""
    if abs(number) >= 1000:
        return f"{number:.0f}"
    return np.format_float_positional(float(f"{number:.4g}"), trim="-")


def belongs(spec: FeatureSpec, value: RecordValue) -> bool:
    """Whether a recorded value is one of the feature's: by its code, of its system where it names one, or by its column."""
    if spec.code and value.code == spec.code:
        return spec.system is None or value.system == spec.system
    return bool(spec.column) and value.code == spec.column


def check_snapshot(snapshot: PatientSnapshot) -> None:
    """Refuse anything later than the index moment (SnapshotError)."""
    for value in snapshot.values:
        if value.time > snapshot.index_time:
            raise SnapshotError(
                f"{value.source}: {value.code} was recorded after the index moment and may not be looked at."
            )
    for image in snapshot.images:
        if image.time > snapshot.index_time:
            raise SnapshotError(f"{image.source}: the image was made after the index moment.")


def read_features(task: RiskTask, snapshot: PatientSnapshot) -> tuple[Reading, ...]:
    """One reading per feature of the task, in its order. Raises SnapshotError."""
    check_snapshot(snapshot)
    by_code: dict[str, list[RecordValue]] = {}
    for value in snapshot.values:
        by_code.setdefault(value.code, []).append(value)
    return tuple(_read(spec, by_code, snapshot) for spec in task.features)


def _read(spec: FeatureSpec, by_code: dict[str, list[RecordValue]], snapshot: PatientSnapshot) -> Reading:
    """The one reading of a feature."""
    if spec.region:
        return _of_region(spec, snapshot)
    found = [value for name in dict.fromkeys((spec.code, spec.column)) for value in by_code.get(name or "", ()) if belongs(spec, value)]
    if spec.window_days is not None:
        start = snapshot.index_time - timedelta(days=spec.window_days)
        found = [value for value in found if value.time >= start]
    if spec.aggregation == "count":
        last = max(found, key=_place, default=None)
        return Reading(float(len(found)), last.source if last else "counted", last.time if last else None)
    if not found:
        return NOTHING
    found = sorted(found, key=_place)
    if spec.kind != "number":
        at = 0 if spec.aggregation == "first" else len(found) - 1
        chosen = _agreed(spec, found, [str(value.value) for value in found], at)
        return Reading(str(chosen.value), chosen.source, chosen.time)
    return _aggregate(spec, found, [_limit(spec, value) for value in found])


def _place(value: RecordValue) -> tuple[datetime, str, str]:
    """The order of values in time; of one moment by where they came from, so that a snapshot always reads the same."""
    return value.time, value.source, value.id


def _agreed(spec: FeatureSpec, found: list[RecordValue], said: Sequence[object], at: int) -> RecordValue:
    """The value that is read of several, refused where another one of its moment says something else (`said`, of each)."""
    if any(value.time == found[at].time and words != said[at] for value, words in zip(found, said, strict=True)):
        raise SnapshotError(f"{found[at].source}: {spec.label} has two different values at one moment.")
    return found[at]


def _of_region(spec: FeatureSpec, snapshot: PatientSnapshot) -> Reading:
    """What is measured on the newest image of the slot on which something is marked."""
    marked = [image for image in snapshot.images if image.slot == spec.region and image.region is not None]
    newest = max(marked, key=lambda image: image.time, default=None)
    value = measured(newest.region, str(spec.measure)) if newest is not None and newest.region is not None else None
    return NOTHING if newest is None or value is None else Reading(value, f"marked region of {newest.source}", newest.time)


def _limit(spec: FeatureSpec, value: RecordValue) -> Limit:
    """A number, or the limit of one, in the unit and range the task states; the sign of a number is ""."""
    known = limit_of(value.value) if isinstance(value.value, str) else Limit("", value.value)
    if known is None or not math.isfinite(known.number):
        raise SnapshotError(f"{value.source}: {spec.label} should be a number and is “{value.value}”.")
    if spec.unit and value.unit and spec.unit != value.unit:
        raise SnapshotError(f"{value.source}: {spec.label} is in {value.unit}, the model needs {spec.unit}.")
    if spec.unit and not value.unit and value.code == spec.code and not _bare(spec.unit):
        raise SnapshotError(f"{value.source}: {spec.label} has no unit, the model needs {spec.unit}.")
    if spec.low is not None and known.number < spec.low or spec.high is not None and known.number > spec.high:
        raise SnapshotError(f"{value.source}: {spec.label} {known.sign}{plainly(known.number)} is outside {spec.low} to {spec.high}.")
    return known


def _bare(unit: str) -> bool:
    """Whether a UCUM unit only says that there is none (1, {score}), so that it may be left out."""
    return unit == "1" or unit.startswith("{")


def _aggregate(spec: FeatureSpec, found: list[RecordValue], known: list[Limit]) -> Reading:
    """Several numbers over time become one. Of those that are only limits the limit is taken; where one of them is what is read, its
    sign stays with it, and a mean or slope has none."""
    numbers = np.array([one.number for one in known])
    last = found[-1]
    if spec.aggregation == "slope_per_day":
        days = np.array([(value.time - last.time).total_seconds() / 86_400 for value in found])
        spread = days - days.mean()
        if len(found) < 2 or not spread.any():
            return NOTHING
        slope = float((spread @ (numbers - numbers.mean())) / (spread @ spread))
        return Reading(slope, f"{len(found)} values to {last.source}", last.time)
    if spec.aggregation == "mean":
        return Reading(float(numbers.mean()), last.source, last.time)
    picks: dict[str, Callable[[], int]] = {
        "latest": lambda: len(found) - 1, "first": lambda: 0,
        "min": lambda: int(numbers.argmin()), "max": lambda: int(numbers.argmax()),
    }  # fmt: skip
    at = picks[spec.aggregation]()
    if spec.aggregation in ("latest", "first"):
        _agreed(spec, found, known, at)
    return Reading(float(numbers[at]), found[at].source, found[at].time, known[at].sign)
