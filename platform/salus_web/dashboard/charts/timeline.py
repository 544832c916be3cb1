"""The patient's record on one time axis: risks, stays, films, vital signs and laboratory values, drugs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.safestring import SafeString

from salus_web.dashboard.charts.marks import area, dot, line, path, picture, rect, text, unbroken

LEFT, RIGHT, WIDTH = 190.0, 920.0, 1000.0
LANE = 46.0


@dataclass(frozen=True, slots=True)
class Point:
    """One reading: when, how much, what is said on hover, and how the value is said. With a `sign` it is only known to be below
    or above."""

    at: datetime
    value: float
    words: str
    sign: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A stay or a drug: from when to when (None: still); what is said on hover, and beside the bar."""

    start: datetime
    end: datetime | None
    words: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class RiskMark:
    """One risk on the axis, of one question; without numbers it is drawn hollow."""

    question: str
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


def in_words(shown: Timeline) -> list[tuple[str, list[str]]]:
    """What is drawn, lane by lane, the newest first: the words that a mark says on hover."""
    lanes: list[tuple[str, Sequence[Point | Span | RiskMark]]] = [
        ("risks", shown.risks), ("stays", shown.stays), ("films", shown.films), *shown.readings, ("drugs", shown.drugs),
    ]  # fmt: skip
    return [(name, [mark.words for mark in reversed(marks)]) for name, marks in lanes if marks]


def timeline(shown: Timeline) -> SafeString:
    """The chart, lane under lane."""
    seconds = max((shown.end - shown.start).total_seconds(), 1.0)

    def x(moment: datetime) -> float:
        inside = min(max((moment - shown.start).total_seconds() / seconds, 0.0), 1.0)
        return LEFT + inside * (RIGHT - LEFT)

    marks: list[str] = []
    y = 22.0
    for question in dict.fromkeys(risk.question for risk in shown.risks):
        marks += _risks([risk for risk in shown.risks if risk.question == question], question, x, y)
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
        marks.append(text(LEFT - 10, y + 12, _short(drug.label), "end q"))
        marks.append(rect(x(drug.start), y + 3, max(x(drug.end or shown.end) - x(drug.start), 3), 10, "f-record", drug.words))
        y += 20
    axis = _axis(shown, x, y)
    return picture(WIDTH, y + 24, [*axis, *marks], "The record on one time axis; all that is drawn stands in words below it")


def _risks(risks: Sequence[RiskMark], question: str, x, y: float) -> list[str]:  # type: ignore[no-untyped-def]
    """The risks of one question: a line with its interval as a band, broken where there is no number; hollow marks there."""
    bottom, height = y + LANE, LANE

    def level(value: float) -> float:
        return bottom - value * height

    numbers = [
        None if r.probability is None or r.low is None or r.high is None else (x(r.at), level(r.probability), level(r.low), level(r.high))
        for r in risks
    ]  # fmt: skip
    marks = [text(LEFT - 10, y + 14, _short(question), "end b"), text(LEFT - 10, y + 28, "risk, 0–100 %", "end q")]
    marks += [line(LEFT, bottom, RIGHT, bottom, "k-line"), line(LEFT, y, RIGHT, y, "k-line dash")]
    for run in unbroken(numbers):
        marks.append(area([(at, high) for at, _, _, high in run], [(at, low) for at, _, low, _ in run], "f-band"))
        marks.append(path([(at, middle) for at, middle, _, _ in run], "k-risk"))
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

    marks = [text(LEFT - 10, y + 24, _short(label), "end"), line(LEFT, y + LANE - 6, RIGHT, y + LANE - 6, "k-line")]
    marks.append(path([(x(p.at), level(p.value)) for p in points], "k-record"))
    marks += [dot(x(p.at), level(p.value), 3 if p.sign else 2.5, "f-paper k-record" if p.sign else "f-record", p.words) for p in points]
    marks.append(text(RIGHT + 6, level(values[-1]) + 4, points[-1].said, "b"))
    return marks


def _short(label: str) -> str:
    return label if len(label) <= 28 else f"{label[:27]}…"


def _axis(shown: Timeline, x, bottom: float) -> list[str]:  # type: ignore[no-untyped-def]
    """About six ticks; what all of them share of the date stands once, at the left, with the zone."""
    start, end = shown.start, shown.end
    step = max((end - start) / 6, timedelta(hours=1))
    if start.date() == end.date():
        pattern, shared = "%H:%M", f"{start:%d %b %Y}, UTC"
    elif end - start <= timedelta(days=6) and start.year == end.year:
        pattern, shared = "%d %b %H:%M", f"{start:%Y}, UTC"
    else:
        pattern, shared = "%d %b %Y %H:%M" if end - start <= timedelta(days=6) else "%d %b %Y", "UTC"
    marks, moment = [text(LEFT - 60, bottom + 16, shared, "end q")], start
    while moment <= end:
        marks.append(line(x(moment), 18, x(moment), bottom, "k-line"))
        marks.append(text(x(moment), bottom + 16, moment.strftime(pattern), "mid q"))
        moment += step
    return marks
