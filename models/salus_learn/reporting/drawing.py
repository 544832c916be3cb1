"""A chart as a reportlab drawing, in the light tokens."""

from __future__ import annotations

from reportlab.graphics.shapes import Circle, Drawing, Polygon, PolyLine, Shape, String
from reportlab.lib.colors import Color, HexColor

from salus_learn.reporting.chart import Chart, Dot, Stroke, Text, strokes

INKS = {
    "ink": "#16191c", "quiet": "#545c64", "line": "#d8dcdf", "line-strong": "#868e95", "accent": "#0b5f73",
    "accent-soft": "#e2eff2", "risk": "#23426b", "risk-soft": "#d9e2ef", "risk-band": "#b4c5de", "record": "#4a5968",
    "image": "#6d3fa0", "sunken": "#f3f4f4", "amber": "#7a4d00", "amber-soft": "#fdf0d5", "surface": "#ffffff",
}  # fmt: skip


def ink(name: str) -> Color:
    """The light token of that name as a reportlab colour."""
    return HexColor(INKS[name])


def chart_drawing(chart: Chart, width: float, font: str) -> Drawing:
    """The chart scaled to `width` points, in the registered font."""
    scale = width / chart.width
    drawing = Drawing(width, chart.height * scale)
    drawing.scale(scale, scale)
    for stroke in strokes(chart):
        drawing.add(_drawn(stroke, chart.height, font))
    return drawing


def _drawn(stroke: Stroke | Dot | Text, height: float, font: str) -> Shape:
    """One stroke with y turned up, as reportlab has it."""
    if isinstance(stroke, Dot):
        return Circle(stroke.x, height - stroke.y, stroke.radius, fillColor=ink(stroke.ink), strokeColor=None)
    if isinstance(stroke, Text):
        return String(
            stroke.x, height - stroke.y, stroke.text, textAnchor=stroke.anchor, fontName=font,
            fontSize=stroke.size * 0.92, fillColor=ink(stroke.ink),
        )  # fmt: skip
    flat = [part for x, y in stroke.points for part in (x, height - y)]
    drawn = (Polygon if stroke.closed else PolyLine)(flat)
    drawn.strokeColor = ink(stroke.ink) if stroke.ink else None
    drawn.strokeWidth = stroke.width
    drawn.strokeDashArray = list(stroke.dash) or None
    drawn.strokeLineJoin = 1
    if stroke.closed:
        drawn.fillColor = ink(stroke.fill) if stroke.fill else None
    return drawn
