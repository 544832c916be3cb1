"""A checked row of a case table, and the images it names. Nothing is read here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from salus_learn.contracts import ImageSpec, Region


@dataclass(frozen=True, slots=True)
class RowImage:
    """One image named by a row: its slot, the file, the marked region, if any, and the row's number.

    Where several rows make one case, `own_case` is the row's own name in the case column and `outcome_word` its own word.
    """

    spec: ImageSpec
    path: Path
    region: Region | None
    row: int
    own_case: str = ""
    outcome_word: str = ""


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One case: values by feature name (float or text), image files, outcome 1, 0 or None and the word it was read from.

    `place` is the row it stands in ("row 3") or the rows; `number` is the row that its outcome was read from.
    """

    number: int
    place: str
    person: str
    case: str
    values: dict[str, float | str]
    images: tuple[RowImage, ...]
    outcome: int | None
    outcome_word: str
    time_days: float | None = None
