"""What a report is made of before it is drawn: sections of prose, tables, charts and one set of sliders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus_learn.reporting.chart import Chart


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: what it says, and under it, smaller, the interval and n. `quiet` sets words apart from figures."""

    said: str
    under: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column heads its row. `numeric` are the places of right-aligned columns;
    `folded` hides it behind its caption on the page (the numbers of a chart)."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: tuple[int, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Prose:
    """A paragraph. kind: plain, quiet, or state (a line with a mark that says how something stands)."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Pictures:
    """Charts side by side, each with the folded table of its numbers."""

    charts: tuple[tuple[Chart, Table | None], ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of pixels: `png` is base64, `said` is read out instead. Never of a patient: reports are passed on."""

    caption: str
    said: str
    png: str


@dataclass(frozen=True, slots=True)
class Sliders:
    """The matrix with threshold and prevalence to move; on paper nothing (the table above it stands there). `caution` is said under it."""

    arms: dict[str, Any]
    outcome: str
    prevalence: float
    caution: str = ""


Block = Prose | Table | Pictures | Photo | Sliders


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its blocks; `id` is its anchor."""

    id: str
    title: str
    blocks: tuple[Block, ...]
