"""Rows that look like one person: the same numbers under two ids, the same row twice, several images shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from salus_learn.leaks.finding import MOST_ROWS, Finding
from salus_learn.leaks.sources import SOURCE_WORDS
from salus_learn.leaks.table import Table, parts

TELLING_VALUES = 20
AGREE, AGREE_SHARE = 5, 0.9
# expected number of such pairs by chance, were the columns independent (they are not quite, so both are strict)
SURE, MAYBE = 0.001, 0.05
_BLOCK = 2000


def same_person(table: Table, columns: Sequence[str], people: np.ndarray) -> list[Finding]:
    """Rows of different people (n,) that agree in five or more telling numbers and in nine of ten that both have."""
    telling = _telling(table, columns)
    if len(telling) < AGREE:
        return []
    codes = _codes(table, telling)
    match = np.array([_chance(codes[:, at]) for at in range(len(telling))])
    pairs = len(codes) * (len(codes) - 1) / 2
    sure: list[tuple[int, int, int, int]] = []
    maybe: list[tuple[int, int, int, int]] = []
    for a, b in _agreeing(codes):
        agree = codes[a] == codes[b]
        both, agree = (codes[a] >= 0) & (codes[b] >= 0), agree & (codes[a] >= 0)
        if people[a] != people[b] and agree.sum() >= AGREE_SHARE * both.sum():
            expected = pairs * float(np.prod(match[agree]))
            if expected < MAYBE:
                (sure if expected < SURE and agree.sum() == both.sum() else maybe).append((a, b, int(agree.sum()), int(both.sum())))
    return [_alike(table, telling, found, word) for found, word in ((sure, "almost certainly"), (maybe, "possibly")) if found]


def duplicate_rows(table: Table, columns: Sequence[str], people: np.ndarray | None, y: np.ndarray) -> list[Finding]:
    """Rows that say the same in every column: of one person (n,), or of a table that names none. y (n,), NaN where unknown."""
    compared = [column for column in columns if not _row_number(table, column)]
    if len(_telling(table, compared)) < 3:
        return []
    seen: dict[tuple[str, ...], list[int]] = {}
    for at in range(len(table.rows)):
        key = tuple(table.cells[column][at] for column in compared)
        if sum(cell not in table.missing for cell in key) >= AGREE:
            seen.setdefault((*key, "" if people is None else str(people[at])), []).append(at)
    groups = [group for group in seen.values() if len(group) > 1]
    if not groups:
        return []
    rows = [int(table.rows[at]) for group in groups for at in group]
    unlike = sum({0.0, 1.0} <= set(y[group].tolist()) for group in groups)
    worse = f" {unlike} of them have different outcomes." if unlike else ""
    whose = "and the table names no person" if people is None else "under the same person"
    sentence = (
        f"{len(rows)} rows stand in {len(groups)} groups that agree in all of {len(compared)} columns, {whose}: copied rows can be "
        f"learnt from and judged on at once.{worse}"
    )
    return [Finding("duplicate_rows", "warns", table.name, tuple(compared[:8]), tuple(rows[:MOST_ROWS]), len(rows), len(table.rows), sentence)]


def sharing_images(table: Table, shared: Mapping[tuple[str, str], Sequence[tuple[int, int]]]) -> list[Finding]:
    """People (two ids) who share two images or more; `shared` gives the places of the two rows of each pair of images."""
    found = []
    for (one, other), pairs in shared.items():
        if len(pairs) < 2:
            continue
        places = sorted({at for pair in pairs for at in pair})
        rows = tuple(int(table.rows[at]) for at in places[:MOST_ROWS])
        sentence = f"{one} and {other} share {len(pairs)} images: almost certainly one person under two ids. Join them under same_person."
        found.append(Finding("same_person_two_ids", "warns", table.name, (), rows, len(places), len(table.rows), sentence))
    return found


def _telling(table: Table, columns: Sequence[str]) -> list[str]:
    """Columns of numbers or dates with many values, not all different, that are about the person."""
    found = []
    for column in columns:
        cells = [cell for cell in table.cells[column] if cell not in table.missing]
        distinct = len(set(cells))
        if distinct < TELLING_VALUES or distinct == len(cells) or parts(column) & SOURCE_WORDS:
            continue
        if table.numbers(column) is not None or table.days(column) is not None:
            found.append(column)
    return found


def _row_number(table: Table, column: str) -> bool:
    """Whether the column only counts the rows."""
    numbers = table.numbers(column)
    return numbers is not None and len(numbers) > 1 and bool((np.diff(numbers) > 0).all())


def _codes(table: Table, columns: Sequence[str]) -> np.ndarray:
    """(n, c) a number for each cell's text within its column, -1 where missing."""
    codes = np.full((len(table.rows), len(columns)), -1)
    for at, column in enumerate(columns):
        known = table.filled(column)
        codes[known, at] = np.unique(np.array(table.cells[column])[known], return_inverse=True)[1]
    return codes


def _chance(codes: np.ndarray) -> float:
    """The chance that two rows agree in a column (n,) they both have, were rows drawn at random."""
    shares = np.bincount(codes[codes >= 0]) / max(1, (codes >= 0).sum())
    return float((shares**2).sum())


def _agreeing(codes: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows that agree in five columns or more, by a sparse product of cells, two thousand rows at a time."""
    offsets = np.concatenate([[0], np.cumsum(codes.max(axis=0) + 1)])
    rows, columns = np.nonzero(codes >= 0)
    cells = csr_matrix((np.ones(len(rows), np.int16), (rows, offsets[columns] + codes[rows, columns])), (len(codes), offsets[-1]))
    found = []
    for start in range(0, len(codes), _BLOCK):
        together = (cells[start : start + _BLOCK] @ cells.T).tocoo()
        near = together.data >= AGREE
        pairs = zip((together.row[near] + start).tolist(), together.col[near].tolist(), strict=True)
        found += [(int(a), int(b)) for a, b in pairs if a < b]
    return sorted(found)


def _alike(table: Table, telling: Sequence[str], pairs: Sequence[tuple[int, int, int, int]], word: str) -> Finding:
    rows = sorted({int(table.rows[at]) for a, b, _, _ in pairs for at in (a, b)})
    a, b, agree, both = pairs[0]
    sentence = (
        f"{len(rows)} rows under different people agree in five or more numbers: {word} the same person twice "
        f"(rows {table.rows[a]} and {table.rows[b]} in {agree} of {both} that both have)."
    )
    return Finding("same_person_two_ids", "warns", table.name, tuple(telling[:8]), tuple(rows[:MOST_ROWS]), len(rows), len(table.rows), sentence)
