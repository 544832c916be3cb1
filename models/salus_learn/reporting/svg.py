"""A chart as SVG, coloured by classes so that the page's light and dark tokens apply."""

from __future__ import annotations

from html import escape

from salus_learn.reporting.chart import Chart, Dot, Stroke, Text, strokes


def chart_svg(chart: Chart) -> str:
    """The chart as one inline SVG, read out as its sentence. No style attribute, no script, no outside reference."""
    body = "".join(_drawn(stroke) for stroke in strokes(chart))
    return (
        f'<svg viewBox="0 0 {chart.width:g} {chart.height:g}" role="img" aria-label="{escape(chart.said)}">{body}</svg>'
    )


def _drawn(stroke: Stroke | Dot | Text) -> str:
    if isinstance(stroke, Dot):
        return f'<circle cx="{stroke.x:g}" cy="{stroke.y:g}" r="{stroke.radius:g}" class="f-{stroke.ink}"/>'
    if isinstance(stroke, Text):
        return (
            f'<text x="{stroke.x:g}" y="{stroke.y:g}" class="f-{stroke.ink}" '
            f'text-anchor="{stroke.anchor}" font-size="{stroke.size:g}">{escape(stroke.text)}</text>'
        )
    path = " ".join(f"{x:g},{y:g}" for x, y in stroke.points)
    kind = "polygon" if stroke.closed else "polyline"
    classes = f'{"k-" + stroke.ink if stroke.ink else "k-none"} {"f-" + stroke.fill if stroke.fill else "f-none"}'
    dash = f' stroke-dasharray="{" ".join(f"{part:g}" for part in stroke.dash)}"' if stroke.dash else ""
    return f'<{kind} points="{path}" class="{classes}" stroke-width="{stroke.width:g}"{dash}/>'
