"""The charts of a report, from its plain form."""

from __future__ import annotations

import math
from typing import Any

from salus_learn.reporting.blocks import Cell, Table
from salus_learn.reporting.chart import Axis, Band, Bars, Chart, Line, Points, Words
from salus_learn.reporting.words import ARM_WORDS, number, percent

FIFTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
LOOKS: dict[str, tuple[str, tuple[float, ...], float]] = {
    "line": ("record", (2, 3), 1.5),
    "trees": ("record", (8, 3), 1.5),
    "image": ("image", (10, 3, 2, 3), 1.6),
    "fused": ("risk", (), 2.4),
}


def counted(report: dict[str, Any]) -> str:
    """What an n of the report counts: people, or cases where somebody has several."""
    who = report["people"]
    return "people" if who["persons"] == who["n"] else "cases"


def roc_chart(report: dict[str, Any]) -> Chart:
    """ROC curves of all arms; each with its own dash, areas in the legend."""
    marks: list[Any] = [Line((0, 1), (0, 1), "line-strong", dash=(1, 4), width=1.2)]
    for arm, curve in report["roc"].items():
        area = report["arms"][arm]["auroc"]["value"]
        if curve["x"]:
            ink, dash, width = LOOKS[arm]
            name = ARM_WORDS[arm] + (f" {area:.3f}" if area is not None else "")
            marks.append(Line(tuple(curve["x"]), tuple(curve["y"]), ink, name, width, dash))
    return Chart(
        "ROC curves",
        "ROC curves. " + ", ".join(mark.name for mark in marks[1:]) + ". The dotted diagonal is chance.",
        Axis("false positives: flagged among those without the outcome", 0, 1, FIFTHS, percent=True),
        Axis("sensitivity", 0, 1, FIFTHS, percent=True), tuple(marks), height=380, legend=(0.5, 0.26),
    )  # fmt: skip


def calibration_chart(report: dict[str, Any]) -> Chart:
    """Share observed against mean risk given, in tenths of people or larger parts, with Wilson bars."""
    bins = report["calibration"]["bins"]
    top = _ceiling(max([bin["predicted"] for bin in bins] + [bin["observed"]["high"] for bin in bins]))
    given = tuple(bin["predicted"] for bin in bins)
    came = tuple(bin["observed"]["value"] for bin in bins)
    low, high = (tuple(bin["observed"][end] for bin in bins) for end in ("low", "high"))
    marks = (
        Line((0, top), (0, top), "line-strong", "perfect", 1.2, (1, 4)),
        Line(given, came, "risk", "", 1.2),
        Points(given, came, low, high, "risk", name="part of the people, 95 %"),
    )
    said = f"Calibration: {len(bins)} groups of people; observed share against mean risk given, n {report['calibration']['n']}."
    ticks = tuple(round(top * part, 3) for part in FIFTHS)
    return Chart(
        "Calibration", said, Axis("mean risk given", 0, top, ticks, percent=True),
        Axis("observed share", 0, top, ticks, percent=True), marks, height=380, legend=(top * 0.02, top * 0.95),
    )  # fmt: skip


def histogram_chart(report: dict[str, Any]) -> Chart:
    """How many were given which risk: without the outcome up, with the outcome as an outline over it."""
    spread = report["calibration"]["histogram"]
    left, right = tuple(spread["edges"][:-1]), tuple(spread["edges"][1:])
    without, with_it = tuple(map(float, spread["without"])), tuple(map(float, spread["with"]))
    top, ticks = _count_axis(1.2 * max(*without, *with_it, 1.0))  # room for the legend above the bars
    zero = (0.0,) * len(left)
    marks = (
        Bars(left, right, zero, without, "risk-band", name="without the outcome"),
        Bars(left, right, zero, with_it, "ink", outlined=True, name="with the outcome"),
    )
    said = f"How many {counted(report)} were given which risk, with and without the outcome, n {report['calibration']['n']}."
    return Chart(
        "Spread of risks", said, Axis("risk given", 0, 1, FIFTHS, percent=True),
        Axis(counted(report), 0, top, ticks), marks, height=380, legend=(0.58, top * 0.95),
    )  # fmt: skip


def decision_chart(report: dict[str, Any]) -> Chart:
    """Net benefit of the model with its band, of treating all and of treating none."""
    curve = report["decision"]
    t, last = curve["t"], curve["t"][-1]
    top = _ceiling(max([*curve["high"], curve["all"][0], 0.02]))
    bottom = -top / 4
    kept = [at for at, value in enumerate(curve["all"]) if value >= bottom]
    keep = [at for at in range(len(t)) if curve["model"][at] >= bottom]
    marks = (
        Band(tuple(t), _within(curve["low"], bottom, top), _within(curve["high"], bottom, top), "risk-soft", "its 95 % band"),
        Line((t[0], last), (0, 0), "line-strong", "act on nobody", 1.4, (2, 3)),
        Line(tuple(t[at] for at in kept), tuple(curve["all"][at] for at in kept), "record", "act on everybody", 1.6, (8, 3)),
        Line(tuple(t[at] for at in keep), tuple(curve["model"][at] for at in keep), "risk", "act on the fused risk", 2.4),
    )
    ticks = tuple(round(bottom + (top - bottom) * step / 5, 4) for step in range(6))
    said = f"Decision curve: net benefit by threshold from 1 to {100 * last:.0f} per cent, n {curve['n']}."
    return Chart(
        "Decision curve", said, Axis("risk at which one acts", 0, last, _tenths(last), percent=True),
        Axis("net benefit (true positives per person)", bottom, top, ticks), marks, height=380,
        legend=(last * 0.5, top * 0.95),
    )  # fmt: skip


def forest_chart(report: dict[str, Any], name: str, title: str) -> Chart:
    """One figure by subgroup with intervals; a dotted line at everybody's; words where the guard holds."""
    rows = report["subgroups"]["rows"]
    overall = report["arms"]["fused"][name]
    able = [at for at, row in enumerate(rows) if row["state"] == "computed" and row[name]["low"] is not None]
    bounds = [rows[at][name][end] for at in able for end in ("low", "high")] + [overall["low"] or 0, overall["high"] or 1]
    low, high = math.floor(min(bounds) * 10) / 10, math.ceil(max(bounds) * 10) / 10
    high = high if high > low else low + 0.1
    k = len(rows)
    marks: list[Any] = []
    if overall["value"] is not None:
        marks.append(Line((overall["value"],) * 2, (0.6, -k + 0.4), "line-strong", dash=(2, 3), width=1.4))
    marks.append(Points(
        tuple(rows[at][name]["value"] for at in able), tuple(-float(at) for at in able),
        tuple(rows[at][name]["low"] for at in able), tuple(rows[at][name]["high"] for at in able), sideways=True,
    ))  # fmt: skip
    notes = tuple(_forest_note(name, row) for row in rows)
    said = f"{title} by subgroup with 95 % intervals; the dotted line is everybody's. " + "; ".join(
        f"{row['group']} {row['value']}: {note}" for row, note in zip(rows, notes, strict=True)
    )
    return Chart(
        title, said, Axis("dotted line: everybody", low, high, _forest_ticks(low, high), percent=name != "auroc"),
        Axis("group, value with 95 % interval, n", -k + 0.4, 0.6, ()), tuple(marks), height=74 + 25.0 * k, left=142, right=132,
        rows=tuple(_short(f"{row['group']}: {row['value']}") for row in rows), notes=notes,
    )  # fmt: skip


def series_chart(title: str, part: dict[str, Any]) -> Chart:
    """A ready-made extra part with series, drawn as lines with bands."""
    dashes: tuple[tuple[float, ...], ...] = ((), (8, 3), (2, 3), (10, 3, 2, 3))
    inks = ("risk", "image", "record", "accent")
    xs = [x for one in part["series"] for x in one["x"]]
    ends = [y for one in part["series"] for key in ("y", "low", "high") for y in one.get(key) or []]
    x_axis, y_axis = _span_axis(part.get("x", ""), xs), _span_axis(part.get("y", ""), ends)
    marks: list[Any] = []
    for at, one in enumerate(part["series"]):
        if one.get("low") and one.get("high"):
            marks.append(Band(tuple(one["x"]), tuple(one["low"]), tuple(one["high"]), "risk-soft"))
        marks.append(Line(tuple(one["x"]), tuple(one["y"]), inks[at % 4], one["name"], 2.0, dashes[at % 4]))
        marks.append(Words(one["x"][-1], one["y"][-1], number(one["y"][-1], 2), "ink", "end"))
    marks.sort(key=lambda mark: not isinstance(mark, Band))
    start = (x_axis.low + (x_axis.high - x_axis.low) * 0.5, y_axis.low + (y_axis.high - y_axis.low) * 0.26)
    said = f"{title}: " + ", ".join(f"{one['name']} ends at {number(one['y'][-1])}" for one in part["series"])
    return Chart(title, said, x_axis, y_axis, tuple(marks), legend=start)


def calibration_table(report: dict[str, Any]) -> Table:
    """The numbers behind the calibration chart."""
    rows = tuple(
        (
            Cell(percent(bin["predicted"])), Cell(str(bin["n"])), Cell(str(bin["events"])),
            Cell(percent(bin["observed"]["value"]), f"{100 * bin['observed']['low']:.1f}–{100 * bin['observed']['high']:.1f}"),
        )
        for bin in report["calibration"]["bins"]
    )  # fmt: skip
    columns = ("mean risk given", "n", "with outcome", "observed share, 95 %")
    return Table("Numbers of the calibration chart", columns, rows, (1, 2, 3), folded=True)


def decision_table(report: dict[str, Any]) -> Table:
    """The numbers behind the decision curve, at every twentieth or tenth."""
    curve = report["decision"]
    rows = tuple(
        (
            Cell(percent(t, 0)),
            Cell(number(curve["model"][at], 4), f"{number(curve['low'][at], 4)} to {number(curve['high'][at], 4)}"),
            Cell(number(curve["all"][at], 4)), Cell("0"),
            Cell(number(curve["gain"][at], 4), f"{number(curve['gain_low'][at], 4)} to {number(curve['gain_high'][at], 4)}"),
        )
        for at, t in enumerate(curve["t"]) if round(100 * t) % (5 if curve["t"][-1] <= 0.5 else 10) == 0
    )  # fmt: skip
    columns = ("act from", "fused risk", "act on everybody", "act on nobody", "fused less the better of both")
    return Table(f"Net benefit, n {curve['n']}, 95 % by {curve['draws']} bootstraps", columns, rows, (1, 2, 3, 4), folded=True)


def _forest_note(name: str, row: dict[str, Any]) -> str:
    if row["state"] != "computed":
        return str(row["state"])
    own = row[name]
    if own["value"] is None:
        return "not computable"
    if own["low"] is None:
        return f"{own['value']:.2f}, no interval"
    if name == "auroc":
        return f"{own['value']:.2f} ({own['low']:.2f}–{own['high']:.2f}) n {own['n']}"
    return f"{100 * own['value']:.0f} ({100 * own['low']:.0f}–{100 * own['high']:.0f}) n {own['n']}"


def _short(words: str, most: int = 24) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def _forest_ticks(low: float, high: float) -> tuple[float, ...]:
    steps = round((high - low) * 10)
    every = 1 if steps <= 3 else 2 if steps <= 6 else 5
    return tuple(round(low + step / 10, 1) for step in range(0, steps + 1, every))


def _ceiling(value: float) -> float:
    """The next round bound above a value: fifths of it are short decimals."""
    for bound in (0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0):
        if value <= bound:
            return bound
    return 1.0


def _within(values: list[float], low: float, high: float) -> tuple[float, ...]:
    return tuple(max(low, min(high, value)) for value in values)


def _tenths(last: float) -> tuple[float, ...]:
    return tuple(round(step / 10, 1) for step in range(round(last * 10) + 1))


def _count_axis(most: float) -> tuple[float, tuple[float, ...]]:
    """A top and ticks for counts, whole numbers from 0."""
    step = next(base * 10**power for power in range(9) for base in (1, 2, 5) if most <= 5 * base * 10**power)
    top = step * math.ceil(most / step)
    return float(top), tuple(float(tick) for tick in range(0, int(top) + 1, int(step)))


def _span_axis(label: str, values: list[float]) -> Axis:
    low, high = min(values), max(values)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / 4
    scale = 10.0 ** math.floor(math.log10(raw))
    step = next(base * scale for base in (1, 2, 2.5, 5, 10) if base * scale >= raw)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(round(step * at, 10) for at in range(first, last + 1))
    return Axis(label, ticks[0], ticks[-1], ticks)
