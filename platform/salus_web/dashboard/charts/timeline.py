"""The patient's record on one time axis: risks, stays, films, vital signs and laboratory values, drugs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.safestring import SafeString

from salus_web.dashboard.charts.marks import area, dot, line, path, picture, rect, text

LEFT, WIDTH = 190.0, 1000.0
LANE = 46.0


@dataclass(frozen=True, slots=True)
class Point:
    """One reading: when, how much, and what is said on hover. With a `sign` the value is only known to be below or above."""

    at: datetime
    value: float
    words: str
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stay or a drug: from when to when (None: still); what is said on hover, and beside the bar."""

    start: datetime
    end: datetime | None
    words: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class RiskMark:
    """One risk on the axis; without numbers it is drawn hollow."""

    at: datetime
    probability: float | None
    low: float | None
    high: float | None
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything drawn between `start` and `end`. Small multiples are (label with unit, points)."""

    start: datetime
    end: datetime
    risks: Sequence[RiskMark]
    stays: Sequence[Span]
    films: Sequence[Point]
    readings: Sequence[tuple[str, Sequence[Point]]]
    drugs: Sequence[Span]


def timeline(shown: Timeline) -> SafeString:
    """The chart, lane under lane."""
    seconds = max((shown.end - shown.start).total_seconds(), 1.0)

    def x(moment: datetime) -> float:
        inside = min(max((moment - shown.start).total_seconds() / seconds, 0.0), 1.0)
        return LEFT + inside * (WIDTH - LEFT - 60)

    marks: list[str] = []
    y = 22.0
    if shown.risks:
        marks += _risks(shown.risks, x, y)
        y += LANE + 14
    if shown.stays:
        marks += [text(LEFT - 10, y + 13, "stays", "end q")]
        marks += [rect(x(s.start), y + 2, max(x(s.end or shown.end) - x(s.start), 3), 14, "f-soft", s.words) for s in shown.stays]
        y += 26
    if shown.films:
        marks += [text(LEFT - 10, y + 13, "films", "end q")]
        marks += [rect(x(film.at) - 5, y + 3, 10, 12, "f-image", film.words) for film in shown.films]
        y += 26
    for label, points in shown.readings:
        marks += _lane(label, points, x, y)
        y += LANE
    for drug in shown.drugs:
        marks.append(text(LEFT - 10, y + 12, drug.label[:28], "end q"))
        marks.append(rect(x(drug.start), y + 3, max(x(drug.end or shown.end) - x(drug.start), 3), 10, "f-record", drug.words))
        y += 20
    axis = _axis(shown, x, y)
    return picture(WIDTH, y + 24, [*axis, *marks], "The record on one time axis; the tables below hold the same values")


def _risks(risks: Sequence[RiskMark], x, y: float) -> list[str]:  # type: ignore[no-untyped-def]
    """Line with its interval as a band; hollow marks where there is no number."""
    bottom, height = y + LANE, LANE

    def level(value: float) -> float:
        return bottom - value * height

    numbers = [
        (x(r.at), level(r.probability), level(r.low), level(r.high)) for r in risks
        if r.probability is not None and r.low is not None and r.high is not None
    ]  # fmt: skip
    marks = [text(LEFT - 10, y + 14, "risk, 0–100 %", "end b"), line(LEFT, bottom, WIDTH - 60, bottom, "k-line"), line(LEFT, y, WIDTH - 60, y, "k-line dash")]
    if len(numbers) > 1:
        marks.append(area([(at, high) for at, _, _, high in numbers], [(at, low) for at, _, low, _ in numbers], "f-band"))
        marks.append(path([(at, middle) for at, middle, _, _ in numbers], "k-risk"))
    for risk in risks:
        if risk.probability is None:
            marks.append(dot(x(risk.at), bottom - 8, 4, "f-paper k-ink", risk.words))
        else:
            marks.append(line(x(risk.at), level(risk.low or 0), x(risk.at), level(risk.high or 0), "k-risk", 3))
            marks.append(dot(x(risk.at), level(risk.probability), 4, "f-risk", risk.words))
    return marks


def _lane(label: str, points: Sequence[Point], x, y: float) -> list[str]:  # type: ignore[no-untyped-def]
    """One measurement: its own scale, the newest value at the right; what is only a limit is drawn hollow."""
    values = [point.value for point in points]
    low, high = min(values), max(values)
    room = (high - low) or 1.0

    def level(value: float) -> float:
        return y + LANE - 14 - (value - low) / room * (LANE - 22)

    marks = [text(LEFT - 10, y + 24, label[:30], "end"), line(LEFT, y + LANE - 6, WIDTH - 60, y + LANE - 6, "k-line")]
    marks.append(path([(x(p.at), level(p.value)) for p in points], "k-record"))
    marks += [dot(x(p.at), level(p.value), 3 if p.sign else 2.5, "f-paper k-record" if p.sign else "f-record", p.words) for p in points]
    marks.append(text(WIDTH - 54, level(values[-1]) + 4, f"{points[-1].sign}{values[-1]:g}", "b"))
    return marks


def _axis(shown: Timeline, x, bottom: float) -> list[str]:  # type: ignore[no-untyped-def]
    """About six ticks at whole hours, days or months."""
    span = shown.end - shown.start
    step = max(span / 6, timedelta(hours=1))
    pattern = "%H:%M" if span <= timedelta(days=1) else "%d %b %H:%M" if span <= timedelta(days=6) else "%d %b %Y"
    marks, moment = [], shown.start
    while moment <= shown.end:
        marks.append(line(x(moment), 18, x(moment), bottom, "k-line"))
        marks.append(text(x(moment), bottom + 16, moment.strftime(pattern), "mid q"))
        moment += step
    return marks
