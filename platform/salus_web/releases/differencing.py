"""Whether sets of people, added up and taken from each other, would tell of a few of them. Pure.

What is said of two sets that have nobody in common can be added, and taken from what is said of a third (Dwork, "Differential
privacy", 2006, on the differencing attack). So a new set is held against each earlier one, against a few earlier ones
together, and, with a few earlier ones, against each other earlier one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import islice

from salus_web.cohorts.disclosure import SMALLEST

MOST_PARTS = 4  # sets that are put together
MOST_LOOKS = 20_000  # combinations looked at for one whole


class Gap(StrEnum):
    """What stands between a new set and those that went out."""

    NONE = "none"
    PAIR = "nearly an earlier one"
    TOGETHER = "nearly what some earlier ones tell together"
    UNKNOWN = "more combinations than can be looked at"


def gap_between(new: frozenset[str], before: Sequence[frozenset[str]]) -> Gap:
    """Whether the new set and earlier ones together leave 1 to 10 people over. Up to four sets are put together."""
    earlier, mask = _as_bits(new, set(before))
    if any(_is_few(mask ^ old) for old in earlier):
        return Gap.PAIR
    found = {_made_of(mask, 0, earlier)}
    for whole in earlier:
        found.add(_made_of(whole, mask, [old for old in earlier if old != whole]))
    return next((gap for gap in (Gap.TOGETHER, Gap.UNKNOWN) if gap in found), Gap.NONE)


def _as_bits(new: frozenset[str], before: set[frozenset[str]]) -> tuple[list[int], int]:
    """Each set as one number with a bit per person, the largest earlier set first: thousands of people are compared at once."""
    place = {name: at for at, name in enumerate(new.union(*before))}

    def bits(people: frozenset[str]) -> int:
        found = bytearray(len(place) // 8 + 1)
        for name in people:
            found[place[name] >> 3] |= 1 << (place[name] & 7)
        return int.from_bytes(found, "little")

    return sorted((bits(people) for people in before), key=int.bit_count, reverse=True), bits(new)


def _is_few(people: int) -> bool:
    return 0 < people.bit_count() < SMALLEST


def _made_of(whole: int, part: int, others: Sequence[int]) -> Gap:
    """Whether a whole is nearly a part and some others put together; a part of nobody is none."""
    most = MOST_PARTS - (part != 0)
    if (part & ~whole).bit_count() >= SMALLEST:
        return Gap.NONE
    looks = 0
    for left_over in islice(_left_over(whole, part, 0, others, most), MOST_LOOKS):
        looks += 1
        if _is_few(left_over):
            return Gap.TOGETHER
    return Gap.UNKNOWN if looks == MOST_LOOKS else Gap.NONE


def _left_over(whole: int, together: int, twice: int, others: Sequence[int], most: int) -> Iterator[int]:
    """For each choice of others: who is not as often in the parts as in the whole. Those in two parts are left over too."""
    yield (whole ^ together) | twice
    if not most:
        return
    missing = (whole & ~together).bit_count()
    for at, other in enumerate(others):
        if missing - most * other.bit_count() >= SMALLEST:
            return  # not even the most of these, which come by size, could fill the whole
        again, more = twice | (together & other), together | other
        if again.bit_count() < SMALLEST and (more & ~whole).bit_count() < SMALLEST:
            yield from _left_over(whole, more, again, others[at + 1 :], most - 1)
