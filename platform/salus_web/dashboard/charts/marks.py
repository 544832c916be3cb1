"""The few SVG marks every chart is made of. All text is escaped here; classes come from salus.css, so dark mode works."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe


def number(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".rstrip("0").rstrip(".")


def rect(x: float, y: float, width: float, height: float, css: str, title: str = "") -> str:
    """A filled box; a title is shown on hover and read aloud."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(max(width, 0))}" height="{number(max(height, 0))}" '
        f'class="{css}">{inside}</rect>'
    )


def line(x1: float, y1: float, x2: float, y2: float, css: str, width: float = 1) -> str:
    """A straight line."""
    return (
        f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" class="{css}" '
        f'stroke-width="{number(width)}"/>'
    )


def path(points: Iterable[tuple[float, float]], css: str, width: float = 1.5) -> str:
    """A line through points."""
    drawn = " ".join(f"{'M' if at == 0 else 'L'}{number(x)} {number(y)}" for at, (x, y) in enumerate(points))
    return f'<path d="{drawn}" class="f-none {css}" stroke-width="{number(width)}"/>' if drawn else ""


def area(upper: list[tuple[float, float]], lower: list[tuple[float, float]], css: str) -> str:
    """A band between two lines."""
    points = " ".join(f"{number(x)},{number(y)}" for x, y in [*upper, *reversed(lower)])
    return f'<polygon points="{points}" class="{css}"/>'


def unbroken(points: Iterable[tuple[float, ...] | None]) -> list[list[tuple[float, ...]]]:
    """The stretches of points that a line may join: two or more with nothing missing (None) between them."""
    runs: list[list[tuple[float, ...]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if len(run) > 1]


def dot(x: float, y: float, radius: float, css: str, title: str = "") -> str:
    """A round mark."""
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(radius)}" class="{css}">{inside}</circle>'


def text(x: float, y: float, words: str, css: str = "") -> str:
    """A label."""
    return f'<text x="{number(x)}" y="{number(y)}" class="{css}">{escape(words)}</text>'


def picture(width: float, height: float, marks: Iterable[str], label: str, css: str = "") -> SafeString:
    """The whole chart; `label` says in words what it shows."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" width="{number(width)}" '
        f'height="{number(height)}" role="img" aria-label="{escape(label)}" class="{css}">'
    )
    return mark_safe(head + "".join(marks) + "</svg>")  # nosec B703 # numbers and escaped words only
