"""Cuts the text of a table into rows of cells, and refuses a quote that would swallow rows.

A cell that begins with a quote runs to the next one, also over several lines. One stray quote therefore makes many rows one cell,
and nobody would miss them: it is refused wherever it can be told from a cell that is meant to have several lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from salus_learn.errors import CaseError

LINE_END = re.compile(r"\r\n|\r|\n")
_SHOWN = 40


def rows_of(text: str, separator: str, where: str, *, quote: str = '"') -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with its number, cells without the spaces around them. Raises CaseError.

    Rows are numbered as a spreadsheet shows them: blank ones count, and a cell of several lines is in one. `where` names the table.
    """
    sheet = _Sheet(LINE_END.split(text), separator, quote, where)
    while sheet.at < len(sheet.lines):
        sheet.row += 1
        cells = sheet.cells()
        if cells != [""]:
            # the first row is the header: it says how many cells a row has
            sheet.columns = sheet.columns or cells
            yield sheet.row, cells


@dataclass(slots=True)
class _Sheet:
    """The lines of a table and how far it is read: `at` is the next line, `row` the row that is being read."""

    lines: list[str]
    separator: str
    quote: str
    where: str
    at: int = 0
    row: int = 0
    columns: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        """The cells of the next row."""
        line, self.at = self.lines[self.at], self.at + 1
        if self.quote not in line:
            return [cell.strip() for cell in line.split(self.separator)]
        cells: list[str] = []
        start = 0
        while True:
            first = start
            while line[first : first + 1] == " ":
                first += 1
            if line[first : first + 1] == self.quote:
                cell, line, start = self._quoted(line, first + 1, len(cells))
            else:
                # a quote further on in the cell is a letter like any other
                end = line.find(self.separator, start)
                cell, start = (line[start:], -1) if end < 0 else (line[start:end], end + 1)
            cells.append(cell.strip())
            if start < 0:
                return cells

    def _quoted(self, line: str, start: int, number: int) -> tuple[str, str, int]:
        """A cell from behind its opening quote: what it holds, the line it closes in, and where the next cell begins there (-1 for
        none). `number` is how many cells of the row stand before it."""
        opened, parts = self.at - 1, []
        while True:
            end = line.find(self.quote, start)
            if end < 0:
                if self.at == len(self.lines):
                    raise CaseError(f"{self._place(number)}: a quote ({self.quote}) opens here and is never closed, so every row to the end of the file would be lost in one cell. {self._remedy()}")
                parts.append(line[start:] + "\n")
                line, start, self.at = self.lines[self.at], 0, self.at + 1
            elif line[end + 1 : end + 2] == self.quote:
                parts.append(line[start : end + 1])
                start = end + 2
            else:
                parts.append(line[start:end])
                break
        rest, cut, _ = line[end + 1 :].partition(self.separator)
        if rest.strip():
            raise CaseError(f"{self._place(number)}: a quoted cell opens here, and “{rest.strip()[:_SHOWN]}” stands behind its closing quote. {self._remedy()}")
        self._check_swallowed(self.lines[opened : self.at], number)
        return "".join(parts), line, end + 2 + len(rest) if cut else -1

    def _check_swallowed(self, lines: list[str], number: int) -> None:
        """Refuse a cell over several lines where these look like rows of the table: half of those between its first and its last
        have as many separators as the header, or the first and the last have."""
        wanted = len(self.columns) - 1
        if len(lines) < 2 or wanted < 1:
            return
        like_rows = [line.count(self.separator) == wanted for line in lines if line.strip()]
        between = like_rows[1:-1]
        if 2 * sum(between) >= len(between) > 0 or all((like_rows[0], like_rows[-1])):
            raise CaseError(f"{self._place(number)}: a quote ({self.quote}) opens here and closes {len(lines) - 1} line(s) further on, so the rows between would be lost in one cell. {self._remedy()}")

    def _place(self, number: int) -> str:
        column = self.columns[number] if number < len(self.columns) else ""
        return f"{self.where} row {self.row}" + (f", column {column}" if column else "")

    def _remedy(self) -> str:
        return f"Remove the quote, or put the whole cell in quotes and write each quote within it twice ({self.quote * 2})."
