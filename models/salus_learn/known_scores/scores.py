"""NEWS2, qSOFA and CURB-65, each a small table of points. A score with a missing input is not computed: no silent zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from salus_learn.contracts import PatientSnapshot
from salus_learn.known_scores.inputs import Known, find, score_codes

Values = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class ScorePart:
    """One row of a score: what was found and its points."""

    label: str
    value: str
    points: int
    source: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A score of one patient. `points` is None where an input is missing, and then `missing` names them."""

    name: str
    title: str
    points: int | None
    highest: int
    parts: tuple[ScorePart, ...]
    missing: tuple[str, ...]
    band: str
    meaning: str
    source: str


@dataclass(frozen=True, slots=True)
class _Row:
    """One part of a score: the inputs it needs, its label, its points from their values."""

    label: str
    needs: tuple[str, ...]
    points: Callable[[Values], int]


@dataclass(frozen=True, slots=True)
class _Score:
    name: str
    title: str
    highest: int
    rows: tuple[_Row, ...]
    band: Callable[[int, Sequence[int]], tuple[str, str]]
    source: str


def band_points(value: float, bands: Sequence[tuple[float, int]], above: int) -> int:
    """Points of the first band whose upper limit (included) holds the value, else `above`."""
    return next((points for limit, points in bands if value <= limit), above)


def _banded(name: str, bands: Sequence[tuple[float, int]], above: int, digits: int = 0) -> Callable[[Values], int]:
    # charts are written in whole steps (or tenths), so a value is rounded to the chart's step before it is looked up
    return lambda values: band_points(round(float(values[name]), digits), bands, above)


NEWS2 = _Score(
    "news2", "NEWS2", 20,
    (
        _Row("Respiratory rate", ("respiratory_rate",), _banded("respiratory_rate", ((8, 3), (11, 1), (20, 0), (24, 2)), 3)),
        _Row("Oxygen saturation, scale 1", ("oxygen_saturation",), _banded("oxygen_saturation", ((91, 3), (93, 2), (95, 1)), 0)),
        _Row("Air or oxygen", ("oxygen_flow",), lambda values: 2 if float(values["oxygen_flow"]) > 0 else 0),
        _Row("Systolic pressure", ("systolic",), _banded("systolic", ((90, 3), (100, 2), (110, 1), (219, 0)), 3)),
        _Row("Pulse", ("pulse",), _banded("pulse", ((40, 3), (50, 1), (90, 0), (110, 1), (130, 2)), 3)),
        _Row("Consciousness", ("consciousness",), lambda values: 0 if values["consciousness"] == "Alert" else 3),
        _Row("Temperature", ("temperature",), _banded("temperature", ((35.0, 3), (36.0, 1), (38.0, 0), (39.0, 1)), 2, 1)),
    ),
    lambda points, parts: ("high", "emergency assessment") if points >= 7
    else ("medium", "urgent review") if points >= 5
    else ("low to medium", "urgent review by a nurse: one part alone has 3") if 3 in parts
    else ("low", "ward care"),
    "Royal College of Physicians, National Early Warning Score 2, London 2017, chart 1 (scale 1: not for known hypercapnic failure)",
)  # fmt: skip
QSOFA = _Score(
    "qsofa", "qSOFA", 3,
    (
        _Row("Respiratory rate 22 or more", ("respiratory_rate",), lambda values: int(float(values["respiratory_rate"]) >= 22)),
        _Row("Systolic pressure 100 or less", ("systolic",), lambda values: int(float(values["systolic"]) <= 100)),
        _Row("Glasgow coma score under 15", ("glasgow",), lambda values: int(float(values["glasgow"]) < 15)),
    ),
    lambda points, parts: ("positive", "with suspected infection, look for organ failure") if points >= 2 else ("negative", "does not rule sepsis out"),
    "Singer and others, Sepsis-3, JAMA 2016;315:801",
)  # fmt: skip
CURB65 = _Score(
    "curb65", "CURB-65", 5,
    (
        _Row("New confusion", ("consciousness",), lambda values: int(values["consciousness"] != "Alert")),
        _Row("Urea over 7 mmol/L", ("urea",), lambda values: int(float(values["urea"]) > 7)),
        _Row("Respiratory rate 30 or more", ("respiratory_rate",), lambda values: int(float(values["respiratory_rate"]) >= 30)),
        _Row("Systolic under 90 or diastolic 60 or less", ("systolic", "diastolic"),
             lambda values: int(float(values["systolic"]) < 90 or float(values["diastolic"]) <= 60)),
        _Row("Age 65 or more", ("age_years",), lambda values: int(float(values["age_years"]) >= 65)),
    ),
    lambda points, parts: ("severe", "for pneumonia: treat as severe") if points >= 3
    else ("moderate", "for pneumonia: consider hospital") if points == 2
    else ("low", "for pneumonia: home may do"),
    "Lim and others, Thorax 2003;58:377 (for pneumonia from outside hospital)",
)  # fmt: skip
SCORES = (NEWS2, QSOFA, CURB65)


def score_patient(snapshot: PatientSnapshot) -> tuple[ScoreResult, ...]:
    """Every known score of one patient as of the index moment; none where nothing that a score reads was recorded."""
    codes = score_codes()
    if not any(value.code in codes for value in snapshot.values):
        return ()
    return tuple(_result(score, snapshot) for score in SCORES)


def _result(score: _Score, snapshot: PatientSnapshot) -> ScoreResult:
    known = {name: find(snapshot, name) for row in score.rows for name in row.needs}
    missing = tuple(dict.fromkeys(_gap(row, name, known[name]) for row in score.rows for name in row.needs if known[name].value is None))
    if missing:
        return ScoreResult(score.name, score.title, None, score.highest, (), missing, "", "", score.source)
    values = {name: entry.value for name, entry in known.items() if entry.value is not None}
    parts = tuple(_part(row, known, values) for row in score.rows)
    points = [part.points for part in parts]
    band, meaning = score.band(sum(points), points)
    return ScoreResult(score.name, score.title, sum(points), score.highest, parts, (), band, meaning, score.source)


def _gap(row: _Row, name: str, entry: Known) -> str:
    """What is missing, in words; the problem where something was there and not usable."""
    return entry.problem or name.replace("_", " ")


def _part(row: _Row, known: Mapping[str, Known], values: Values) -> ScorePart:
    used = [known[name] for name in row.needs]
    newest = max(used, key=lambda entry: entry.time or datetime.min.replace(tzinfo=entry.time.tzinfo if entry.time else None))
    return ScorePart(row.label, ", ".join(entry.text for entry in used), row.points(values), newest.source, newest.time)
