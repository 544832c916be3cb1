"""Reads a table as hospitals write them: commas, semicolons or tabs between cells, decimals with a point or a comma.

What separates cells is seen from the header; how decimals are written and letters are stored is said by the task file, because
a guess could be wrong in silence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from salus_learn.contracts import RiskTask
from salus_learn.errors import CaseError
from salus_learn.tasks.arff import arff_rows
from salus_learn.tasks.cells import LINE_END, rows_of

SEPARATORS = (",", ";", "\t", "|")
ENCODINGS = ("utf-8", "utf-16", "windows-1252", "iso-8859-15")
DECIMALS = (".", ",")
_SIGN = r"(?:[<>]=?|[≤≥])?\s*[+-]?"  # a limit has a sign of its own
_WITH_COMMA = re.compile(_SIGN + r"\d+,\d+(?:[eE][+-]?\d+)?")
_WITH_POINT = re.compile(_SIGN + r"\d+\.\d+(,\d+)?")
_LIKE_THOUSANDS = re.compile(_SIGN + r"[1-9]\d{0,2}(?:[.,]\d{3})+")
_WHOLE = re.compile(_SIGN + r"[1-9]\d{2,}")
_NOT_RECORDED = frozenset({"na", "n/a", "n.a.", "#n/a", "nan", "null", "none", "nil", "-", "--", ".", "?", "unknown", "missing", "k.a.", "k. a."})
_MOST_FILES = 10  # as said of a folder that lacks the table
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
Lines = list[tuple[int, dict[str, str]]]


def table_of(task: RiskTask, path: Path) -> tuple[list[str], Lines]:
    """The task's table: the header and the numbered rows, numbers with a decimal point however they are written."""
    header, lines = read_table(path, encoding=task.encoding)
    if task.decimal == ",":
        numbers = [spec.column for spec in task.features if spec.column and spec.kind == "number"]
        numbers += [task.outcome.time_column] if task.outcome.time_column else []
        for column in numbers:
            _check_thousands(lines, column, path.name)
        for number, line in lines:
            _with_point(line, numbers, f"{path.name} row {number}")
    return header, lines


def read_table(path: Path, *, encoding: str = "") -> tuple[list[str], Lines]:
    """The header and the numbered rows of a CSV or ARFF file: UTF-8, UTF-16 with a mark, or the `encoding` named.

    A row that ends early has no cell in the columns it does not reach; one that goes on after the last column is refused.
    """
    text = _text(path, encoding)
    if path.suffix.lower() == ".arff":
        header, rows = arff_rows(text, path.name)
    else:
        rows = rows_of(text, _separator(text), path.name)
        header = next(rows, (0, []))[1]
    lines = [(number, _cells(header, cells, f"{path.name} row {number}")) for number, cells in rows]
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
        raise CaseError(f"The case table {path.name} is not in the folder {path.parent.name}. {_held(path)}") from None
    except OSError as error:
        raise CaseError(f"The case table {path.name} cannot be read: {error.__class__.__name__}.") from None
    except UnicodeError:
        raise CaseError(
            f"{path.name} is not written in {(encoding or 'utf-8').upper()}. Save it as “CSV UTF-8”, or name its encoding in the "
            f"task file, under [cases]: encoding = one of {', '.join(ENCODINGS)}."
        ) from None


def _held(path: Path) -> str:
    """What the folder of a table that is not there holds instead."""
    if not path.parent.is_dir():
        return "There is no such folder."
    files = sorted(one.name for one in path.parent.iterdir() if one.is_file())
    shown = ", ".join(files[:_MOST_FILES]) + (f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else "")
    return f"Its files are: {shown}." if files else "It holds no file."


def _separator(text: str) -> str:
    """What cuts the header into the most cells; a comma where nothing does."""
    first = next((line for line in LINE_END.split(text) if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", first)
    return max(SEPARATORS, key=bare.count)


def _cells(header: Sequence[str], cells: Sequence[str], where: str) -> dict[str, str]:
    """The cells by column."""
    beyond = [cell for cell in cells[len(header) :] if cell]
    if beyond:
        raise CaseError(f"{where} has more cells than the header's {len(header)} (“{beyond[0][:40]}” is beyond the last): a cell with the separator in it needs quotes.")
    return {column: cell for column, cell in zip(header, cells, strict=False) if column}


def number_hint(word: str) -> str:
    """What may be meant by a word that is no number: a decimal comma, thousands, or that nothing was recorded. "" or a sentence
    with a space before it."""
    thousands = " It may be thousands: then write it as one row of digits, without commas or points between them." if _LIKE_THOUSANDS.fullmatch(word) else ""
    if _WITH_COMMA.fullmatch(word):
        return f'{thousands} If decimals have a comma here, the task file says so under [cases]: decimal = ",".'
    if thousands:
        return thousands
    if word.casefold() in _NOT_RECORDED:
        return f' If it means “not recorded”, the task file lists it under [cases]: missing = ["", "{word}"].'
    return ""


def _check_thousands(lines: Lines, column: str, table: str) -> None:
    """Refuse a column in which each comma has three digits behind it and other numbers are whole and large: 1,366 beside 766."""
    cells = [(number, line.get(column, "")) for number, line in lines]
    commas = [(number, cell) for number, cell in cells if "," in cell and _WITH_COMMA.fullmatch(cell)]
    if not commas or not all(_LIKE_THOUSANDS.fullmatch(cell) for _, cell in commas):
        return
    whole = next(((number, cell) for number, cell in cells if _WHOLE.fullmatch(cell)), None)
    if whole:
        (number, cell), (other, plain) = commas[0], whole
        raise CaseError(
            f"{table} row {number}, column {column}: “{cell}” looks like thousands, as every comma of the column has three digits behind it "
            f"and row {other} holds “{plain}”; with decimal = \",\" it would be read as a thousandth of that. Write "
            f"thousands without the comma; if these are decimals, write {plain},0 for {plain}."
        )


def _with_point(line: dict[str, str], columns: Sequence[str], where: str) -> None:
    """Write the numbers of these columns with a decimal point; one that has a point is refused, as it may stand for thousands."""
    for column in columns:
        cell = line.get(column, "")
        if _WITH_COMMA.fullmatch(cell):
            line[column] = cell.replace(",", ".")
        elif _WITH_POINT.fullmatch(cell):
            thousands = " It may be thousands: then write it without the point." if _LIKE_THOUSANDS.fullmatch(cell) else ""
            raise CaseError(f"{where}, column {column}: “{cell}” has a point, and the task file says that decimals have a comma.{thousands}")
