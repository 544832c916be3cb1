"""Reads a table as hospitals write them: commas, semicolons or tabs between cells, decimals with a point or a comma.

What separates cells is seen from the header; how decimals are written and letters are stored is said by the task file, because
a guess could be wrong in silence.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from salus_learn.contracts import RiskTask
from salus_learn.errors import CaseError
from salus_learn.tasks.arff import arff_reader

SEPARATORS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-15")
DECIMALS = (".", ",")
_SIGN = r"(?:[<>]=?|[≤≥])?\s*[+-]?"  # a limit has a sign of its own
WITH_COMMA = re.compile(_SIGN + r"\d+,\d+(?:[eE][+-]?\d+)?")
_WITH_POINT = re.compile(_SIGN + r"\d+\.\d+(,\d+)?")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
Lines = list[tuple[int, dict[str, str]]]


def table_of(task: RiskTask, path: Path) -> tuple[list[str], Lines]:
    """The task's table: the header and the numbered rows, numbers with a decimal point however they are written."""
    header, lines = read_table(path, encoding=task.encoding)
    if task.decimal == ",":
        numbers = [spec.column for spec in task.features if spec.column and spec.kind == "number"]
        numbers += [task.outcome.time_column] if task.outcome.time_column else []
        for number, line in lines:
            _with_point(line, numbers, f"{path.name} row {number}")
    return header, lines


def read_table(path: Path, *, encoding: str = "") -> tuple[list[str], Lines]:
    """The header and the numbered rows of a CSV or ARFF file: UTF-8, UTF-16 with a mark, or the `encoding` named.

    A row that ends early has no cell in the columns it does not reach; one that goes on after the last column is refused.
    """
    text = _text(path, encoding)
    try:
        if path.suffix.lower() == ".arff":
            reader = arff_reader(io.StringIO(text, newline=""))
        else:
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_separator(text), skipinitialspace=True)
        header = reader.fieldnames = [column.strip() for column in reader.fieldnames or []]
        lines = [(number, _cells(line, f"{path.name} row {number}", len(header))) for number, line in enumerate(reader, 2)]
    except csv.Error as error:
        raise CaseError(f"{path.name} cannot be read as a CSV table: {error}.") from None
    if not header or not lines:
        raise CaseError(f"{path.name} has no rows.")
    twice = [column for column, times in Counter(filter(None, header)).items() if times > 1]
    if twice:
        raise CaseError(f"{path.name} has two columns “{twice[0]}”, so nobody can say which is meant.")
    return header, lines


def _text(path: Path, encoding: str) -> str:
    try:
        raw = path.read_bytes()
        return raw.decode(encoding or ("utf-16" if raw.startswith(_UTF_16) else "utf-8")).removeprefix("\ufeff")
    except FileNotFoundError:
        raise CaseError(f"The case table {path.name} is not in the folder {path.parent.name}.") from None
    except OSError as error:
        raise CaseError(f"The case table {path.name} cannot be read: {error.__class__.__name__}.") from None
    except UnicodeError:
        raise CaseError(
            f"{path.name} is not written in {(encoding or 'utf-8').upper()}. Save it as “CSV UTF-8”, or name its encoding in the "
            f"task file, under [cases]: encoding = one of {', '.join(ENCODINGS)}."
        ) from None


def _separator(text: str) -> str:
    """What cuts the header into the most cells; a comma where nothing does."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(SEPARATORS, key=lambda one: len(next(csv.reader([first], delimiter=one, skipinitialspace=True), [])))


def _cells(line: dict[str | None, str | list[str] | None], where: str, columns: int) -> dict[str, str]:
    """The cells by column, without spaces around them."""
    beyond = [cell for cell in line.get(None) or [] if cell.strip()]
    if beyond:
        raise CaseError(f"{where} has more cells than the header's {columns} (“{beyond[0].strip()[:40]}” is beyond the last): a cell with the separator in it needs quotes.")
    return {column: cell.strip() for column, cell in line.items() if column and isinstance(cell, str)}


def _with_point(line: dict[str, str], columns: Sequence[str], where: str) -> None:
    """Write the numbers of these columns with a decimal point; one that has a point is refused, as it may stand for thousands."""
    for column in columns:
        cell = line.get(column, "")
        if WITH_COMMA.fullmatch(cell):
            line[column] = cell.replace(",", ".")
        elif _WITH_POINT.fullmatch(cell):
            raise CaseError(f"{where}, column {column}: “{cell}” has a point, and the task file says that decimals have a comma.")
