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
