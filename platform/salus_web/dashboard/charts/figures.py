"""Charts of groups: distributions as bars from zero, and model figures with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.safestring import SafeString

from salus_web.dashboard.charts.marks import dot, line, picture, rect, text


def bars(rows: Sequence[tuple[str, float | None, str]], label: str) -> SafeString:
    """Horizontal bars from zero: (label, value or None where it may not be shown, what is written behind it)."""
    most = max([value for _, value, _ in rows if value is not None] or [1.0]) or 1.0
    marks = []
    for at, (words, value, said) in enumerate(rows):
        y = at * 24.0
        marks.append(text(290, y + 16, words[:46], "end"))
        if value is not None:
            marks.append(rect(300, y + 4, value / most * 200, 16, "f-accent", f"{words}: {said}"))
        marks.append(text(306 + (value or 0) / most * 200, y + 16, said, "b" if value is not None else "q"))
    return picture(680, 24 * len(rows) + 4, marks, label)


def intervals(rows: Sequence[tuple[str, float, float, float]], label: str, *, low: float = 0.5, high: float = 1.0) -> SafeString:
    """Point estimates with their intervals on one scale: (label, value, low, high)."""
    left, right = 90.0, 400.0

    def x(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (right - left)

    marks = []
    for tick in range(6):
        value = low + tick * (high - low) / 5
        marks += [line(x(value), 0, x(value), 26 * len(rows), "k-line"), text(x(value), 26 * len(rows) + 16, f"{value:.2g}", "mid q")]
    for at, (words, value, bottom, top) in enumerate(rows):
        y = at * 26.0 + 13
        marks += [text(80, y + 4, words, "end"), line(x(bottom), y, x(top), y, "k-accent", 3)]
        marks.append(dot(x(value), y, 5, "f-accent", f"{words}: {value:.3f} ({bottom:.3f} to {top:.3f})"))
        marks.append(text(410, y + 4, f"{value:.3f} ({bottom:.3f}–{top:.3f})", "b"))
    return picture(560, 26 * len(rows) + 22, marks, label)


def learning(curves: Sequence[Sequence[Sequence[float | None]]], label: str) -> SafeString:
    """Loss after each pass, a pair of lines for each tuning: solid on those who taught, dashed on those who did not."""
    left, right, top, bottom = 44.0, 420.0, 12.0, 150.0
    values = [value for curve in curves for pair in curve for value in pair if value is not None]
    passes, most = max(len(curve) for curve in curves), max(values) or 1.0

    def at(number: int, value: float) -> tuple[float, float]:
        return left + (right - left) * number / max(passes - 1, 1), bottom - (bottom - top) * value / most

    marks = []
    for step in range(4):
        value = most * step / 3
        y = at(0, value)[1]
        marks += [line(left, y, right, y, "k-line"), text(left - 6, y + 4, f"{value:.2f}", "end q")]
    for number in range(passes):
        marks.append(text(at(number, 0)[0], bottom + 18, str(number + 1), "mid q"))
    marks.append(text(right + 8, bottom + 18, "pass", "q"))
    for curve in curves:
        for side, look in ((0, "k-accent"), (1, "k-ink dash")):
            points = [at(number, pair[side] or 0.0) for number, pair in enumerate(curve) if pair[side] is not None]
            marks += [line(*one, *other, look, 2) for one, other in zip(points, points[1:])]
    marks += [line(right + 8, 30, right + 34, 30, "k-accent", 2), text(right + 40, 34, "taught", "")]
    marks += [line(right + 8, 52, right + 34, 52, "k-ink dash", 2), text(right + 40, 56, "not taught", "")]
    return picture(560, 176, marks, label)
