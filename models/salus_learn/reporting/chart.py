"""A chart as data, and the strokes it becomes. Page and PDF both draw the strokes and nothing else.

Coordinates of marks are those of the axes; strokes are in pixels, y down.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TEXT = 12.0
_ABOVE, _BELOW, _LEGEND_LINE = 26.0, 42.0, 17.0


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: label with unit, bounds, where ticks stand, and whether they read as per cent."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    percent: bool = False

    def word(self, tick: float) -> str:
        """A tick as read."""
        return f"{100 * tick:.0f}\u00a0%" if self.percent else f"{tick:g}".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; `name` puts it in the legend, `dash` in pixels sets it apart without colour."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    ink: str = "ink"
    name: str = ""
    width: float = 1.6
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Band:
    """A filled interval between low and high along x."""

    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    ink: str = "risk-soft"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """Dots with whiskers, across x when `sideways` (forest), up and down otherwise. Empty low, high: no whiskers."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    ink: str = "risk"
    sideways: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars from `base` to `top` between left and right, in axis units."""

    left: tuple[float, ...]
    right: tuple[float, ...]
    base: tuple[float, ...]
    top: tuple[float, ...]
    ink: str = "risk-band"
    outlined: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A direct label, just above its point."""

    x: float
    y: float
    text: str
    ink: str = "quiet"
    anchor: str = "start"


Mark = Line | Band | Points | Bars | Words


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `rows` names rows from the top (y = 0, 1, ...) in place of a y axis, `notes` stand right of them.

    `legend` is where its first line starts, in axis units; without it there is none. `said` is the chart in a sentence."""

    title: str
    said: str
    x: Axis
    y: Axis
    marks: tuple[Mark, ...]
    width: float = 440.0
    height: float = 330.0
    left: float = 46.0
    right: float = 24.0
    rows: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    legend: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Stroke:
    """A polyline or polygon. `fill` and `ink` are names of inks, empty for none."""

    points: tuple[tuple[float, float], ...]
    ink: str = ""
    fill: str = ""
    width: float = 1.0
    dash: tuple[float, ...] = ()
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    ink: str


@dataclass(frozen=True, slots=True)
class Text:
    """A word at its baseline."""

    x: float
    y: float
    text: str
    ink: str = "quiet"
    anchor: str = "start"
    size: float = TEXT


@dataclass(slots=True)
class _Sheet:
    """Where axis units fall on the page, and what has been drawn."""

    chart: Chart
    drawn: list[Stroke | Dot | Text] = field(default_factory=list)

    def across(self, x: float) -> float:
        axis, width = self.chart.x, self.chart.width - self.chart.left - self.chart.right
        return round(self.chart.left + (x - axis.low) / (axis.high - axis.low) * width, 2)

    def down(self, y: float) -> float:
        axis, height = self.chart.y, self.chart.height - _ABOVE - _BELOW
        return round(_ABOVE + (axis.high - y) / (axis.high - axis.low) * height, 2)

    def path(self, xs: tuple[float, ...], ys: tuple[float, ...]) -> tuple[tuple[float, float], ...]:
        return tuple((self.across(x), self.down(y)) for x, y in zip(xs, ys, strict=True))


def strokes(chart: Chart) -> list[Stroke | Dot | Text]:
    """The chart as strokes, dots and words in pixels, in drawing order."""
    sheet = _Sheet(chart)
    _frame(sheet)
    for mark in chart.marks:
        _mark(sheet, mark)
    if chart.legend is not None:
        _legend(sheet, chart.legend)
    return sheet.drawn


def _frame(sheet: _Sheet) -> None:
    chart, add = sheet.chart, sheet.drawn.append
    foot, top = chart.height - _BELOW, _ABOVE
    for tick in chart.x.ticks:
        at = sheet.across(tick)
        add(Stroke(((at, top), (at, foot)), "line"))
        add(Text(at, foot + 16, chart.x.word(tick), anchor="middle"))
    for tick in () if chart.rows else chart.y.ticks:
        at = sheet.down(tick)
        add(Stroke(((chart.left, at), (chart.width - chart.right, at)), "line"))
        add(Text(chart.left - 6, at + 4, chart.y.word(tick), anchor="end"))
    for number, (row, note) in enumerate(zip(chart.rows, chart.notes, strict=True)):
        at = sheet.down(-number)
        add(Text(0, at + 4, row, "ink"))
        add(Text(chart.width, at + 4, note, anchor="end"))
    add(Stroke(((chart.left, foot), (chart.width - chart.right, foot)), "line-strong"))
    middle = (chart.left + chart.width - chart.right) / 2
    add(Text(middle, chart.height - 8, chart.x.label, anchor="middle"))
    add(Text(0, 13, chart.y.label))


def _mark(sheet: _Sheet, mark: Mark) -> None:
    add = sheet.drawn.append
    if isinstance(mark, Line):
        if len(mark.x) < 2:
            return
        add(Stroke(sheet.path(mark.x, mark.y), mark.ink, width=mark.width, dash=mark.dash))
    elif isinstance(mark, Band):
        edge = sheet.path(mark.x, mark.high) + sheet.path(mark.x, mark.low)[::-1]
        add(Stroke(edge, fill=mark.ink, closed=True))
    elif isinstance(mark, Bars):
        for left, right, base, top in zip(mark.left, mark.right, mark.base, mark.top, strict=True):
            box = sheet.path((left, right, right, left), (base, base, top, top))
            add(Stroke(box, mark.ink if mark.outlined else "", "" if mark.outlined else mark.ink, 1.2, closed=True))
    elif isinstance(mark, Words):
        add(Text(sheet.across(mark.x), sheet.down(mark.y) - 7, mark.text, mark.ink, mark.anchor))
    else:
        _points(sheet, mark)


def _points(sheet: _Sheet, mark: Points) -> None:
    for x, y, low, high in zip(mark.x, mark.y, mark.low or mark.x, mark.high or mark.x, strict=True):
        if mark.low and mark.sideways:
            sheet.drawn.append(Stroke(sheet.path((low, high), (y, y)), mark.ink, width=1.6))
        elif mark.low:
            sheet.drawn.append(Stroke(sheet.path((x, x), (low, high)), mark.ink, width=1.6))
        sheet.drawn.append(Dot(sheet.across(x), sheet.down(y), 3.6, mark.ink))


def _legend(sheet: _Sheet, at: tuple[float, float]) -> None:
    x, y = sheet.across(at[0]), sheet.down(at[1])
    for mark in sheet.chart.marks:
        if isinstance(mark, Words) or not mark.name:
            continue
        if isinstance(mark, Line):
            sheet.drawn.append(Stroke(((x, y - 4), (x + 26, y - 4)), mark.ink, width=mark.width, dash=mark.dash))
        elif isinstance(mark, Points):
            sheet.drawn.append(Dot(x + 13, y - 4, 3.6, mark.ink))
        else:
            box = ((x, y - 9), (x + 26, y - 9), (x + 26, y + 1), (x, y + 1))
            hollow = isinstance(mark, Bars) and mark.outlined
            sheet.drawn.append(Stroke(box, mark.ink if hollow else "", "" if hollow else mark.ink, 1.2, closed=True))
        sheet.drawn.append(Text(x + 32, y, mark.name, "ink"))
        y += _LEGEND_LINE
