"""A checked row of a case table, and the images it names. Nothing is read here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from salus_learn.contracts import ImageSpec, Region

MOST_WORDS, LONGEST_WORD = 5, 40  # of an outcome's column, as said of who is left out


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


@dataclass(frozen=True, slots=True)
class CaseTable:
    """The cases of a table, and who of it is none: rows that the task does not keep (`not_kept`), and cases by the word of their
    outcome, "" where it is not known (`others`). `taken` are the words taken for “without the outcome” where the task lists none;
    `unseen` are the words that the task lists for the outcome and no row holds."""

    rows: list[CaseRow]
    not_kept: int
    others: Counter[str]
    taken: Counter[str]
    unseen: tuple[str, ...] = ()

    def left_out(self) -> tuple[tuple[str, int], ...]:
        """Who is no case, in words and counted."""
        not_kept = [("rows that the task does not keep", self.not_kept)] if self.not_kept else []
        return (*not_kept, *_by_word(self.others))

    def taken_for_without(self) -> tuple[tuple[str, int], ...]:
        """Who is without the outcome because their word is not listed, in words and counted; a misspelt outcome would be among them."""
        return _by_word(self.taken)


def _by_word(words: Counter[str]) -> tuple[tuple[str, int], ...]:
    """The commonest words of the outcome, as quoted, with their counts, and the rest in one."""
    most = words.most_common(MOST_WORDS)
    rest = words.total() - sum(n for _, n in most)
    said = [*((f"“{word[:LONGEST_WORD]}”" if word else "not known", n) for word, n in most), ("a rarer word", rest)]
    return tuple((f"cases whose outcome is {word}", n) for word, n in said if n)
