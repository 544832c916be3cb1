"""Charts of one risk: the waterfall of reasons, the icon array, the sparkline, and the map over a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from salus_web.dashboard.charts.marks import area, dot, line, number, path, picture, rect, text, unbroken

FRAMED = "what the model was shown"


@dataclass(frozen=True, slots=True)
class Bar:
    """One reason as drawn: `points` are percentage points; `part` is record or image."""

    label: str
    points: float
    part: str


def signed(points: float) -> str:
    """+6.1 or −3.0, with a real minus; what rounds to nothing has no sign."""
    said = f"{abs(points):.1f}"
    return said if said == "0.0" else f"{'+' if points > 0 else '−'}{said}"


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where a waterfall's parts stand: beside their labels on a wide page, under them on a phone."""

    width: float
    left: float
    right: float
    row: float
    label_x: float
    label_y: float
    label_css: str
    bar_y: float
    longest: int


_WIDE = _Layout(710, 290, 650, 26, 280, 18, "end", 6, 42)
_NARROW = _Layout(340, 4, 284, 42, 4, 13, "", 19, 46)


def waterfall(bars: Sequence[Bar], start: float, end: float, *, said: tuple[str, str], narrow: bool = False) -> SafeString:
    """From the typical patient's risk to this patient's; start and end in percent and as they are `said`, bars on one scale
    that holds zero."""
    at = _NARROW if narrow else _WIDE
    levels = [start]
    for bar in bars:
        levels.append(levels[-1] + bar.points)
    low, high = min([*levels, end, 0.0]), max([*levels, end])
    scale = (at.right - at.left) / max(high - low, 1.0)

    def x(value: float) -> float:
        return at.left + (value - low) * scale

    def row(place: int, label: str, begin: float, finish: float, css: str, words: str, weight: str) -> list[str]:
        top, edge = place * at.row, max(x(begin), x(finish))
        return [
            text(at.label_x, top + at.label_y, _short(label, at.longest), f"{at.label_css} {weight}".strip()),
            rect(min(x(begin), x(finish)), top + at.bar_y, abs(x(finish) - x(begin)), 16, css, f"{label}: {words}"),
            text(edge + 6, top + at.bar_y + 12, words, "b"),
        ]  # fmt: skip

    height = at.row * (len(bars) + 2) + 4
    marks = [line(x(start), 4, x(start), height - 4, "k-line dash")]
    marks += row(0, "typical patient", 0, start, "f-soft", said[0], "q")
    for place, bar in enumerate(bars, 1):
        marks += row(place, bar.label, levels[place - 1], levels[place], f"f-{bar.part}", signed(bar.points), "")
    marks += row(len(bars) + 1, "this patient", 0, end, "f-risk", said[1], "b")
    reasons = "; ".join(f"{bar.label} {signed(bar.points)}" for bar in bars)
    return picture(at.width, height, marks, f"From {said[0]} for the typical patient to {said[1]} for this one: {reasons}")


def _short(label: str, longest: int) -> str:
    return label if len(label) <= longest else f"{label[: longest - 1]}…"


def icon_array(percent: float, said: str) -> SafeString:
    """A hundred people, filled row by row: natural frequency, not area. `said` is how many that is in words."""
    filled = round(percent)
    marks = [
        dot(7 + 14 * (n % 20), 7 + 14 * (n // 20), 5, "f-risk" if n < filled else "f-sunken k-strong") for n in range(100)
    ]
    return picture(282, 72, marks, f"{said} of 100 patients like this")


def sparkline(points: Sequence[tuple[float, float, float] | None], said: Sequence[str]) -> SafeString:
    """Risk over the last predictions, oldest first: (probability, low, high) each, None where there was no number, which breaks
    the line; and how each is said."""
    width, height, pad = 84.0, 24.0, 3.0
    step = (width - 2 * pad) / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return height - pad - value * (height - 2 * pad)

    placed = [None if point is None else (pad + at * step, *point) for at, point in enumerate(points)]
    shown = [point for point in placed if point is not None]
    marks = [line(0, height - pad, width, height - pad, "k-line")]
    for run in unbroken(placed):
        marks.append(area([(x, y(high)) for x, _, _, high in run], [(x, y(low)) for x, _, low, _ in run], "f-band"))
        marks.append(path([(x, y(p)) for x, p, _, _ in run], "k-risk"))
    if len(shown) == 1:
        x, _, low, high = shown[0]
        marks.append(rect(x, y(high), 4, y(low) - y(high), "f-band"))
    marks += [dot(x + (2 if len(shown) == 1 else 0), y(p), 2, "f-risk") for x, p, _, _ in shown]
    return picture(width, height, marks, f"risk so far: {', '.join(said)}", "spark")


@dataclass(frozen=True, slots=True)
class Overlay:
    """A map as drawn: cells (rows of points) over box (left, top, right, bottom) of an image of width × height pixels."""

    cells: list[list[float]]
    box: tuple[int, int, int, int]
    width: int
    height: int
    image_url: str
    label: str

    @property
    def is_part(self) -> bool:
        """Whether the model was shown a part of the film only."""
        return self.box != (0, 0, self.width, self.height)


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
    """The same film without its map, with a frame around the part that the model was shown, where that is not all of it."""
    frame = ""
    if overlay.is_part:
        left, top, right, bottom = overlay.box
        place = f'x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" stroke-width="{max(overlay.width // 200, 1)}"'
        # white dashes over a black line: seen on bright and on dark film
        frame = f'<rect {place} class="frame-under"/><rect {place} class="frame"><title>{FRAMED}</title></rect>'
    return _film(overlay, frame, f"{overlay.label}, without the map")


def _film(overlay: Overlay, inside: str, label: str) -> SafeString:
    return mark_safe(  # nosec B703 # numbers and escaped words only
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {overlay.width} {overlay.height}" role="img" '
        f'aria-label="{escape(label)}"><image href="{escape(overlay.image_url)}" width="{overlay.width}" '
        f'height="{overlay.height}" preserveAspectRatio="none"/>{inside}</svg>'
    )
