"""A table as the hunter reads it: cells as text, as numbers, as days, and the parts of a column's name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from salus_learn.tasks.limits import limit_of

DATE_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%B %d, %Y", "%B %Y", "%Y/%m/%d")  # fmt: skip
_ENOUGH = 0.95


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name, its cells by column (text, stripped) and the row numbers (header = 1)."""

    name: str
    cells: Mapping[str, Sequence[str]]
    rows: Sequence[int]
    missing: frozenset[str]

    def numbers(self, column: str) -> np.ndarray | None:
        """(n,) floats with NaN for missing, or None when fewer than 95 % of what is filled are numbers."""
        filled, out = 0, np.full(len(self.rows), np.nan)
        for at, cell in enumerate(self.cells[column]):
            if cell in self.missing:
                continue
            filled += 1
            limit = limit_of(cell)
            try:
                out[at] = limit.number if limit else float(cell)
            except ValueError:
                continue
        return out if filled and np.isfinite(out).sum() >= _ENOUGH * filled else None

    def days(self, column: str) -> np.ndarray | None:
        """(n,) days since year 1 with NaN for missing, or None when fewer than 95 % of what is filled are dates in one format."""
        filled = [(at, cell) for at, cell in enumerate(self.cells[column]) if cell not in self.missing]
        if not filled or not any(mark in filled[0][1] for mark in "-/., "):
            return None
        found = [_in_format(filled, form, len(self.rows)) for form in DATE_FORMATS]
        best = max(found, key=lambda days: int(np.isfinite(days).sum()))
        return best if np.isfinite(best).sum() >= _ENOUGH * len(filled) else None

    def filled(self, column: str) -> np.ndarray:
        """(n,) whether a cell holds anything."""
        return np.array([cell not in self.missing for cell in self.cells[column]])


def parts(column: str) -> set[str]:
    """The parts of a column's name in small letters, with the whole name."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", column)
    return {part for part in re.split(r"[^a-z0-9]+", spaced.lower()) if part} | {whole_name(column)}


def whole_name(column: str) -> str:
    """A column's name in small letters, with _ between its parts."""
    return re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")


def _in_format(filled: Sequence[tuple[int, str]], form: str, n: int) -> np.ndarray:
    out = np.full(n, np.nan)
    for at, cell in filled:
        try:
            moment = datetime.strptime(cell, form)
        except ValueError:
            continue
        out[at] = moment.toordinal() + moment.hour / 24 + moment.minute / 1440
    return out  # (n,) days
