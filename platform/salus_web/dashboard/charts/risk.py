"""Charts of one risk: the waterfall of reasons, the icon array, the sparkline, and the map over a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from salus_web.dashboard.charts.marks import area, dot, line, number, path, picture, rect, text


@dataclass(frozen=True, slots=True)
class Bar:
    """One reason as drawn: `points` are percentage points; `part` is record or image."""

    label: str
    points: float
    part: str


def signed(points: float) -> str:
    """+6.1 or −3.0, with a real minus."""
    return f"{'+' if points >= 0 else '−'}{abs(points):.1f}"


def waterfall(bars: Sequence[Bar], start: float, end: float) -> SafeString:
    """From the typical patient's risk to this patient's; start and end in percent. Bars run from zero to a common scale."""
    levels, level = [start], start
    for bar in bars:
        level += bar.points
        levels.append(level)
    low, high = min([*levels, end, 0.0]), max([*levels, end])
    room = max(high - low, 1.0)
    left, right, row = 290.0, 650.0, 26.0

    def x(value: float) -> float:
        return left + (value - low) / room * (right - left)

    height = row * (len(bars) + 2) + 8
    marks = [line(x(start), 4, x(start), height - 4, "k-line dash")]
    marks += [text(280, 18, "typical patient", "end q"), rect(x(0), 6, x(start) - x(0), 16, "f-soft"), text(x(start) + 6, 18, f"{start:.0f} %", "b")]
    at, level = row, start
    for bar in bars:
        after = level + bar.points
        css = f"f-{bar.part}" if bar.points >= 0 else f"f-{bar.part} lower"
        marks.append(text(280, at + 18, _short(bar.label), "end"))
        marks.append(rect(min(x(level), x(after)), at + 6, abs(x(after) - x(level)), 16, css, f"{bar.label}: {signed(bar.points)} points"))
        edge = max(x(level), x(after))
        marks.append(text(edge + 6, at + 18, signed(bar.points), "b"))
        marks.append(line(x(after), at + 22, x(after), at + row + 6, "k-strong"))
        at, level = at + row, after
    marks += [text(280, at + 18, "this patient", "end b"), rect(x(0), at + 6, x(end) - x(0), 16, "f-risk"), text(x(end) + 6, at + 18, f"{end:.0f} %", "b")]
    said = "; ".join(f"{bar.label} {signed(bar.points)}" for bar in bars)
    return picture(710, height, marks, f"From {start:.0f} percent for the typical patient to {end:.0f} percent: {said}")


def _short(label: str) -> str:
    return label if len(label) <= 42 else f"{label[:41]}…"


def icon_array(percent: float) -> SafeString:
    """A hundred people, filled row by row: natural frequency, not area."""
    filled = round(percent)
    marks = [
        dot(7 + 14 * (n % 20), 7 + 14 * (n // 20), 5, "f-risk" if n < filled else "f-sunken k-strong") for n in range(100)
    ]
    return picture(282, 72, marks, f"{filled} of 100 patients like this")


def sparkline(points: Sequence[tuple[float, float, float] | None]) -> SafeString:
    """Risk over the last predictions, oldest first: (probability, low, high) each, None where there was no number."""
    width, height, pad = 84.0, 24.0, 3.0
    step = (width - 2 * pad) / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return height - pad - value * (height - 2 * pad)

    shown = [(pad + at * step, *point) for at, point in enumerate(points) if point is not None]
    marks = [line(0, height - pad, width, height - pad, "k-line")]
    if len(shown) > 1:
        marks.append(area([(x, y(high)) for x, _, _, high in shown], [(x, y(low)) for x, _, low, _ in shown], "f-band"))
        marks.append(path([(x, y(p)) for x, p, _, _ in shown], "k-risk"))
    elif shown:
        x, _, low, high = shown[0]
        marks.append(rect(x, y(high), 4, y(low) - y(high), "f-band"))
    marks += [dot(x + (2 if len(shown) == 1 else 0), y(p), 2, "f-risk") for x, p, _, _ in shown]
    said = ", ".join("no number" if point is None else f"{point[0]:.0%}" for point in points)
    return picture(width, height, marks, f"risk so far: {said}", "spark")


@dataclass(frozen=True, slots=True)
class Overlay:
    """A map as drawn: cells (rows of points) over box (left, top, right, bottom) of an image of width × height pixels."""

    cells: list[list[float]]
    box: tuple[int, int, int, int]
    width: int
    height: int
    image_url: str
    label: str


def map_over(overlay: Overlay, map_class: str) -> SafeString:
    """The film with its exact activation cells on it. Raising cells are filled, lowering ones also carry a bar, so that
    colour is not the only sign; each cell says its points on hover."""
    left, top, right, bottom = overlay.box
    rows, columns = len(overlay.cells), len(overlay.cells[0])
    strongest = max((abs(value) for row in overlay.cells for value in row), default=0.0) or 1.0
    wide, tall = (right - left) / columns, (bottom - top) / rows
    marks = []
    for i, row in enumerate(overlay.cells):
        for j, value in enumerate(row):
            x, y = left + j * wide, top + i * tall
            css = "raises" if value >= 0 else "lowers"
            marks.append(
                f'<rect x="{number(x)}" y="{number(y)}" width="{number(wide)}" height="{number(tall)}" class="{css}" '
                f'fill-opacity="{0.75 * abs(value) / strongest:.2f}"><title>{signed(value)} points</title></rect>'
            )
            if value < -0.25 * strongest:
                marks.append(rect(x + wide * 0.3, y + tall * 0.48, wide * 0.4, max(tall * 0.04, 1), "lowers"))
    return _film(overlay, f'<g class="{escape(map_class)}" opacity="0.6">{"".join(marks)}</g>', overlay.label)


def plain_film(overlay: Overlay) -> SafeString:
    """The same film without its map."""
    left, top, right, bottom = overlay.box
    frame = ""
    if (left, top, right, bottom) != (0, 0, overlay.width, overlay.height):
        frame = (
            f'<rect x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" fill="none" stroke="#fff" '
            f'stroke-dasharray="6 4" stroke-width="{max(overlay.width // 200, 1)}"><title>marked region</title></rect>'
        )
    return _film(overlay, frame, f"{overlay.label}, without the map")


def _film(overlay: Overlay, inside: str, label: str) -> SafeString:
    return mark_safe(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {overlay.width} {overlay.height}" role="img" '
        f'aria-label="{escape(label)}"><image href="{escape(overlay.image_url)}" width="{overlay.width}" '
        f'height="{overlay.height}" preserveAspectRatio="none"/>{inside}</svg>'
    )
