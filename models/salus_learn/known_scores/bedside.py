"""NEWS2, qSOFA and CURB-65: small tables of points over what is measured at the bedside.

Charts are printed in whole steps (temperature in tenths), so NEWS2 rounds a value to the chart's step, half up, before
it is looked up; the thresholds of qSOFA and CURB-65 are compared as measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from salus_learn.contracts import PatientSnapshot
from salus_learn.known_scores.forms import Known, Score, ScoreInput, ScorePart
from salus_learn.known_scores.inputs import INPUTS, find

Values = Mapping[str, float | str]
Bands = Sequence[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class _Row:
    """One part of a score: the inputs it needs, its points from their values, and which of them its text shows."""

    label: str
    needs: tuple[str, ...]
    points: Callable[[Values], int]
    shows: tuple[str, ...] = ()


def band_points(value: float, bands: Bands, above: int) -> int:
    """Points of the first band whose upper limit (included) holds the value, else `above`."""
    return next((points for limit, points in bands if value <= limit), above)


def by_rows(rows: Sequence[_Row], adults_from: int, snapshot: PatientSnapshot, _: bool) -> tuple[tuple[ScorePart, ...], tuple[str, ...]]:
    """The parts of a table, or what is missing. Refused for a person known to be younger than `adults_from` years."""
    known = {name: find(snapshot, name) for row in rows for name in row.needs}
    missing = [entry.problem or INPUTS[name].label for name, entry in known.items() if entry.value is None]
    age = find(snapshot, "age_years").value
    if isinstance(age, float) and age < adults_from:
        missing.append(f"This score is for people of {adults_from} years and over.")
    if missing:
        return (), tuple(missing)
    values = {name: entry.value for name, entry in known.items() if entry.value is not None}
    return tuple(_part(row, known, row.points(values)) for row in rows), ()


def _part(row: _Row, known: Mapping[str, Known], points: int) -> ScorePart:
    shown = [known[name] for name in row.shows or row.needs]
    timed = [(entry.time, entry.source) for entry in shown if entry.time is not None]
    time, source = max(timed, key=lambda entry: entry[0])
    return ScorePart(row.label, ", ".join(entry.text for entry in shown), points, source, time)


def _number(values: Values, name: str) -> float:
    return float(values[name])


def _banded(name: str, bands: Bands, above: int, steps: int = 1) -> Callable[[Values], int]:
    return lambda values: band_points(math.floor(_number(values, name) * steps + 0.5) / steps, bands, above)


def _saturation(values: Values) -> int:
    """Scale 2 (target 88 to 92 %) takes points for too much only while oxygen is given."""
    value = math.floor(_number(values, "oxygen_saturation") + 0.5)
    if values["spo2_scale"] == "scale 1":
        return band_points(value, ((91, 3), (93, 2), (95, 1)), 0)
    if value >= 93 and _number(values, "oxygen_flow") == 0:
        return 0
    return band_points(value, ((83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2)), 3)


def _news2_band(points: int, parts: Sequence[int]) -> tuple[str, str]:
    if points >= 7:
        return "high", "emergency assessment"
    if points >= 5:
        return "medium", "urgent review"
    return ("low to medium", "urgent ward review: one part alone has 3") if 3 in parts else ("low", "ward care")


def _qsofa_band(points: int, _: Sequence[int]) -> tuple[str, str]:
    return ("positive", "with suspected infection, look for organ failure") if points >= 2 else ("negative", "does not rule sepsis out")


def _curb_band(points: int, _: Sequence[int]) -> tuple[str, str]:
    if points >= 3:
        return "severe", "for pneumonia: treat as severe"
    return ("moderate", "for pneumonia: consider hospital") if points == 2 else ("low", "for pneumonia: home may do")


_NEWS2_ROWS = (
    _Row("Respiratory rate", ("respiratory_rate",), _banded("respiratory_rate", ((8, 3), (11, 1), (20, 0), (24, 2)), 3)),
    _Row("Oxygen saturation", ("oxygen_saturation", "spo2_scale", "oxygen_flow"), _saturation, ("oxygen_saturation", "spo2_scale")),
    _Row("Air or oxygen", ("oxygen_flow",), lambda values: 2 if _number(values, "oxygen_flow") > 0 else 0),
    _Row("Systolic pressure", ("systolic",), _banded("systolic", ((90, 3), (100, 2), (110, 1), (219, 0)), 3)),
    _Row("Pulse", ("pulse",), _banded("pulse", ((40, 3), (50, 1), (90, 0), (110, 1), (130, 2)), 3)),
    _Row("Consciousness", ("consciousness",), lambda values: 0 if values["consciousness"] == "Alert" else 3),
    _Row("Temperature", ("temperature",), _banded("temperature", ((35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1)), 2, steps=10)),
)
_QSOFA_ROWS = (
    _Row("Respiratory rate 22 or more", ("respiratory_rate",), lambda values: int(_number(values, "respiratory_rate") >= 22)),
    _Row("Systolic pressure 100 or less", ("systolic",), lambda values: int(_number(values, "systolic") <= 100)),
    _Row("Glasgow coma score under 15", ("glasgow",), lambda values: int(_number(values, "glasgow") < 15)),
)
_CURB_ROWS = (
    _Row("New confusion", ("consciousness",), lambda values: int(values["consciousness"] != "Alert")),
    _Row("Urea over 7 mmol/L", ("urea",), lambda values: int(_number(values, "urea") > 7)),
    _Row("Respiratory rate 30 or more", ("respiratory_rate",), lambda values: int(_number(values, "respiratory_rate") >= 30)),
    _Row("Systolic under 90 or diastolic 60 or less", ("systolic", "diastolic"),
         lambda values: int(_number(values, "systolic") < 90 or _number(values, "diastolic") <= 60)),
    _Row("Age 65 or more", ("age_years",), lambda values: int(_number(values, "age_years") >= 65)),
)  # fmt: skip


def _inputs(*names: str) -> tuple[ScoreInput, ...]:
    return tuple(INPUTS[name] for name in names)


NEWS2 = Score(
    "news2", "NEWS2", 20,
    _inputs("respiratory_rate", "oxygen_saturation", "spo2_scale", "oxygen_flow", "systolic", "pulse", "consciousness", "temperature"),
    partial(by_rows, _NEWS2_ROWS, 16), _news2_band,
    "Royal College of Physicians, National Early Warning Score (NEWS) 2, London 2017, chart 1",
    ("https://rdrr.io/cran/cliot/man/news2_score.html", "https://github.com/kscarlett/news2/blob/9b555f63d362a636601396d6ed0fecb423ccad67/example_test.go"),
)  # fmt: skip
QSOFA = Score(
    "qsofa", "qSOFA", 3, _inputs("respiratory_rate", "systolic", "glasgow"), partial(by_rows, _QSOFA_ROWS, 18), _qsofa_band,
    "Singer and others, Sepsis-3, JAMA 2016;315:801",
    ("https://rdrr.io/cran/cliot/man/qsofa_sepsis_score.html", "https://neetpgai.com/questions/others-19821"),
)  # fmt: skip
CURB65 = Score(
    "curb65", "CURB-65", 5, _inputs("consciousness", "urea", "respiratory_rate", "systolic", "diastolic", "age_years"),
    partial(by_rows, _CURB_ROWS, 18), _curb_band, "Lim and others, Thorax 2003;58:377 (for pneumonia from outside hospital)",
    ("https://questions.zollege.in/exams/questions/a-68-year-old-male-presents-with-cough-with-sputum-6a3a3ac160a447dd8ba0e73d",),
)  # fmt: skip
