"""Reads ARFF tables (attribute lines, then comma-separated rows) as a CSV reader would."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

_ATTRIBUTE = re.compile(r"""^@attribute\s+(?:'([^']+)'|"([^"]+)"|(\S+))""", re.IGNORECASE)


def arff_reader(lines: Iterable[str]) -> csv.DictReader[str]:
    """A reader whose field names are the attributes. Rows are numbered from 2, as under a header; “?” is left as it is."""
    names: list[str] = []
    rest = iter(lines)
    for line in rest:
        found = _ATTRIBUTE.match(line.strip())
        if found:
            names.append(next(name for name in found.groups() if name))
        if line.strip().lower() == "@data":
            break
    return csv.DictReader(_rows(rest), fieldnames=names, quotechar="'", skipinitialspace=True)


def _rows(lines: Iterator[str]) -> Iterator[str]:
    """The data without empty lines and comments."""
    return (line for line in lines if line.strip() and not line.startswith("%"))
