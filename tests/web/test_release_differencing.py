"""Sets of people that add up to a few: what the gate holds against each other."""

from __future__ import annotations

import random
import time
from itertools import accumulate, combinations, pairwise

import pytest
from salus_web.releases import differencing
from salus_web.releases.differencing import Gap, gap_between


def people(*ranges: tuple[int, int]) -> frozenset[str]:
    """Everybody with a number in one of these ranges, the end not included."""
    return frozenset(f"p{number}" for low, high in ranges for number in range(low, high))


ALL, YOUNG, OLD = people((0, 100)), people((0, 40)), people((40, 100))


@pytest.mark.parametrize(
    ("new", "before", "gap"),
    [
        (ALL, [], Gap.NONE), (ALL, [ALL], Gap.NONE), (people((0, 99)), [ALL], Gap.PAIR), (people((0, 90)), [ALL], Gap.PAIR),
        (people((0, 89)), [ALL], Gap.NONE), (people((0, 109)), [ALL], Gap.PAIR),
        # two parts and the whole of them: nobody, three or twelve too many
        (ALL, [YOUNG, OLD], Gap.NONE), (people((0, 103)), [YOUNG, OLD], Gap.TOGETHER), (people((0, 97)), [YOUNG, OLD], Gap.TOGETHER),
        (people((0, 112)), [YOUNG, OLD], Gap.NONE),
        # the other way round: the rest of what is out already
        (people((43, 100)), [ALL, YOUNG], Gap.TOGETHER), (OLD, [ALL, YOUNG], Gap.NONE), (people((55, 100)), [ALL, YOUNG], Gap.NONE),
        # parts that share five people tell of those five
        (ALL, [people((0, 45)), OLD], Gap.TOGETHER), (ALL, [people((0, 60)), OLD], Gap.NONE),
        # three and four parts
        (people((0, 101)), [people((0, 30)), people((30, 60)), people((60, 100))], Gap.TOGETHER),
        (people((0, 81)), [people((at, at + 20)) for at in range(0, 80, 20)], Gap.TOGETHER),
        (people((61, 80)), [people((0, 80)), *(people((at, at + 20)) for at in range(0, 60, 20))], Gap.TOGETHER),
        # what has nothing to do with it changes nothing
        (people((0, 103)), [YOUNG, people((500, 600)), OLD, people((30, 80))], Gap.TOGETHER),
    ],
)  # fmt: skip
def test_what_adds_up_to_a_few_is_found(new: frozenset[str], before: list[frozenset[str]], gap: Gap) -> None:
    assert gap_between(new, before) == gap
    assert gap_between(new, before[::-1]) == gap


def test_more_parts_than_are_put_together_are_not_found() -> None:
    """Said among the known limits."""
    assert gap_between(people((0, 101)), [people((at, at + 20)) for at in range(0, 100, 20)]) == Gap.NONE


def test_it_agrees_with_the_plain_count_over_every_choice() -> None:
    rng, found = random.Random(5), set()
    for _ in range(300):
        cuts = [0, *accumulate(rng.randint(16, 40) for _ in range(5))]  # nobody less than eleven ever went out
        pieces = [people(pair) for pair in pairwise(cuts)]
        before = [frozenset().union(*rng.sample(pieces, rng.randint(1, 3))) for _ in range(rng.randint(1, 5))]
        new = frozenset().union(*rng.sample(pieces, rng.randint(1, 4))) ^ people((0, rng.choice([0, 0, 1, 4, 12])))
        gap = gap_between(new, before)
        assert (gap != Gap.NONE) == plainly(new, before), (new, before)
        found.add(gap)
    assert found == {Gap.NONE, Gap.PAIR, Gap.TOGETHER}


def plainly(new: frozenset[str], before: list[frozenset[str]]) -> bool:
    """Every whole against every sum of up to four others, one of them the new set, counted person by person."""
    everybody, sets = new.union(*before), {*before, new}
    for whole in sets:
        others = sets - {whole}
        for size in range(1, 5):
            for parts in combinations(others, size):
                if whole == new or new in parts:
                    odd = [name for name in everybody if (name in whole) != sum(name in part for part in parts)]
                    if 0 < len(odd) < 11:
                        return True
    return False


def test_a_hundred_large_releases_are_looked_through_quickly() -> None:
    rng = random.Random(6)
    before = [frozenset(f"p{number}" for number in rng.sample(range(20_000), rng.randint(500, 9_000))) for _ in range(60)]
    before += [people((at, at + 500)) for at in range(0, 20_000, 500)]
    start = time.perf_counter()
    assert gap_between(people((0, 1503)), before) == Gap.TOGETHER
    assert gap_between(people((0, 1600)), before) == Gap.NONE
    assert time.perf_counter() - start < 20


def test_more_combinations_than_can_be_looked_at_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differencing, "MOST_LOOKS", 3)
    assert gap_between(people((0, 160)), [people((at, at + 40)) for at in range(0, 160, 40)]) == Gap.UNKNOWN
