"""What may be said about a group without saying it about a person. Pure.

Counts are of persons, never of rows: one person with fifty measurements is one. Groups of 1 to 10 are not
shown, as the United States' Centers for Medicare & Medicaid Services ask of released cells ("Cell size
suppression policy": no cell of 1 to 10), and nobody is one and the same as 1 to 10: where age, sex and hospital
find one person, a zero that is told apart would answer any question about them. What is shown is rounded to base 5, after the United Kingdom's
"Handbook on Statistical Disclosure Control for Outputs" (Griffiths et al. 2019), so that two tables cannot
be subtracted to a small cell. A total beside cells is made from the rounded cells, never from the true ones,
or the suppressed cell would be what is missing to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

SMALLEST = 11
BASE = 5
Row = TypeVar("Row", bound=Mapping[str, Any])


def safe_count(n: int) -> int | None:
    """How many persons may be said: None (suppressed) for 0 to 10, else the nearest multiple of 5."""
    if n < 0:
        raise ValueError("A count of persons is never below zero.")
    if n < SMALLEST:
        return None
    return BASE * ((2 * n + BASE) // (2 * BASE))  # whole numbers, so that no half is rounded to even


def safe_share(part: int, whole: int) -> float | None:
    """A share from the rounded counts, never from the true ones; None when one of them, or the rest, is suppressed."""
    # the rest is a group too: 95 of 100 shown as a share tells of the five, and 100 of 100 that nobody is the exception
    shown, of, rest = safe_count(part), safe_count(whole), safe_count(max(whole - part, 0))
    return None if shown is None or of is None or rest is None else min(shown / of, 1.0)


def share_of(shown: int | None, part: int, whole: int) -> float | None:
    """A share beside a count; none beside a suppressed one."""
    return None if shown is None else safe_share(part, whole)


def safe_cells(counts: Mapping[str, int]) -> dict[str, int | None]:
    """Every cell of one table's column made safe together.

    Beside a suppressed cell the smallest shown one is suppressed as well (complementary suppression; Hundepool
    et al., "Statistical Disclosure Control", 2012, ch. 4): whoever knows the total by another way could otherwise
    take the rest from it. Always, whatever the suppressed ones hold: that it was done must not tell of them.
    """
    cells = {name: safe_count(n) for name, n in counts.items()}
    others = [name for name, shown in cells.items() if shown is not None]
    if others and len(others) < len(cells):
        cells[min(others, key=lambda name: (counts[name], name))] = None
    return cells


def safe_total(cells: Iterable[int | None]) -> int | None:
    """A total made from the rounded cells. None when any is suppressed."""
    found = list(cells)
    return None if any(cell is None for cell in found) else sum(cell for cell in found if cell is not None)


def differs_too_little(old_members: frozenset[str], new_members: frozenset[str]) -> bool:
    """Whether two sets of persons differ by 1 to 10 of them, joined or left.

    Subtracting the one's figures from the other's would then give figures of a group too small to show
    (Dwork, "Differential privacy", 2006, on the differencing attack). The same set again adds nothing.
    """
    return 0 < len(old_members ^ new_members) < SMALLEST


def k_anonymous(
    rows: Sequence[Row], quasi: Sequence[str], k: int = 5, sensitive: str | None = None, l: int = 2  # noqa: E741
) -> tuple[list[Row], int]:
    """The rows that may stay, in their order, and how many persons had to go. One row is one person.

    k-anonymity (Sweeney 2002): every combination of the `quasi` columns is shared by at least k persons.
    l-diversity (Machanavajjhala et al. 2007, distinct form): among them the `sensitive` column takes at least
    l values, or knowing that somebody is in the group would tell it.
    """
    groups: dict[tuple[Hashable, ...], list[int]] = defaultdict(list)
    for at, row in enumerate(rows):
        groups[tuple(row[column] for column in quasi)].append(at)
    keep: set[int] = set()
    for places in groups.values():
        if len(places) < k:
            continue
        if sensitive is not None and len({rows[at][sensitive] for at in places}) < l:
            continue
        keep.update(places)
    return [row for at, row in enumerate(rows) if at in keep], len(rows) - len(keep)
