"""Reads ARFF tables: attribute lines, then comma-separated rows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from salus_learn.tasks.cells import LINE_END, rows_of

_ATTRIBUTE = re.compile(r"""^@attribute\s+(?:'([^']+)'|"([^"]+)"|(\S+))""", re.IGNORECASE)


def arff_rows(text: str, where: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """The attributes as a header, and the rows, numbered from 2 as under one. “?” is left as it is. Raises CaseError as rows_of does."""
    names: list[str] = []
    rest = iter(LINE_END.split(text))
    for line in rest:
        found = _ATTRIBUTE.match(line.strip())
        if found:
            names.append(next(name for name in found.groups() if name))
        if line.strip().lower() == "@data":
            break
    data = [line for line in rest if line.strip() and not line.startswith("%")]
    # the attributes as a first row: rows are numbered and measured by it
    rows = rows_of("\n".join([",".join("x" for _ in names), *data]), ",", where, quote="'")
    next(rows, None)
    return names, rows
