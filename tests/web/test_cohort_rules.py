"""The rules of cohorts that need no database: definitions in words, small cells, and the area under the curve."""

from __future__ import annotations

import random
from statistics import fmean, quantiles, stdev
from typing import Any

import pytest
from salus_web.cohorts.blurring import blurred
from salus_web.cohorts.definition import CodeRule, CohortDefinition, from_json, to_json
from salus_web.cohorts.disclosure import (
    differs_too_little,
    k_anonymous,
    safe_cells,
    safe_count,
    safe_share,
    safe_total,
)
from salus_web.cohorts.performance import auroc, blurred_area
from salus_web.common.errors import BadInput

ALL = CohortDefinition()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "object"), ({"colour": 1}, "colour"), ({"age_low": "six"}, "age_low"), ({"age_low": 3.5}, "age_low"),
        ({"age_low": True}, "age_low"), ({"age_high": 200}, "age_high"), ({"age_low": 9, "age_high": 8}, "age_low"),
        ({"sexes": ["f"]}, "sexes"), ({"sexes": "female"}, "sexes"), ({"codes": [{}]}, "codes"),
        ({"codes": [{"code": "a", "low": 2, "high": 1}]}, "low of a"), ({"codes": [{"code": "a", "low": "1"}]}, "low of a"),
        ({"codes": [{"code": "a"}, {"code": "a"}]}, "twice"), ({"modalities": ["ct"]}, "modalities"),
        ({"condition_codes": [7]}, "condition_codes"), ({"risk_low": 0.2}, "task_id"),
        ({"task_id": "t", "risk_high": 20}, "risk_high"), ({"task_id": "t", "risk_low": float("nan")}, "risk_low"),
        ({"site_ids": ["here"]}, "site_ids"),
    ],
)  # fmt: skip
def test_a_wrong_definition_is_refused_by_its_field(body: Any, field: str) -> None:
    with pytest.raises(BadInput, match=field):
        from_json(body)


def test_a_definition_survives_json_and_reads_as_a_sentence() -> None:
    definition = CohortDefinition(
        age_low=60, age_high=80, sexes=("female",), codes=(CodeRule("8867-4", 50, 100, "/min"), CodeRule("718-7")),
        modalities=("CT", "MR"), condition_codes=("38341003",), task_id="sepsis", risk_low=0.2,
        site_ids=("00000000-0000-0000-0000-000000000001",),
    )  # fmt: skip
    assert from_json(to_json(definition)) == definition
    assert definition.sentence() == (
        "Female patients, aged between 60 and 80 years, with 8867-4 between 50 and 100 /min and 718-7 recorded, "
        "diagnosed with 38341003, with an image of modality CT or MR, with a risk by sepsis from 20 % up, at 1 chosen site."
    )
    assert from_json({}) == ALL and ALL.sentence() == "Patients."


def test_counts_of_none_to_ten_are_suppressed_and_others_rounded() -> None:
    assert [safe_count(n) for n in (0, 1, 10, 11, 12, 13, 1002, 1003)] == [None, None, None, 10, 10, 15, 1000, 1005]
    assert [safe_share(100 - few, 100) for few in (0, 1, 10)] == [None] * 3, "whether anybody is the exception is not told"
    assert safe_share(3, 100) is None and safe_share(97, 100) is None and safe_share(0, 0) is None
    assert safe_share(48, 101) == 0.5


def test_a_suppressed_cell_cannot_be_taken_from_the_total() -> None:
    cells = safe_cells({"a": 3, "b": 40, "c": 60})
    assert cells == {"a": None, "b": None, "c": 60} and safe_total(cells.values()) is None
    for few in (0, 1, 10):
        assert safe_cells({"a": few, "b": 40, "c": 60}) == {"a": None, "b": None, "c": 60}, few
    assert safe_cells({"b": 12, "c": 18}) == {"b": 10, "c": 20}
    assert safe_total([10, 20]) == 30


@pytest.mark.parametrize(
    ("joined", "left", "little"), [(0, 0, False), (1, 0, True), (0, 10, True), (5, 6, False), (5, 5, True)]
)
def test_sets_that_differ_by_one_to_ten_differ_too_little(joined: int, left: int, little: bool) -> None:
    old = frozenset(str(n) for n in range(50))
    new = frozenset(str(n) for n in range(left, 50 + joined))
    assert differs_too_little(old, new) is little


def test_only_rows_of_large_and_diverse_groups_stay() -> None:
    rows = [{"age": "a", "risk": n % 2} for n in range(5)] + [{"age": "b", "risk": 1} for _ in range(9)]
    rows += [{"age": "c", "risk": n % 2} for n in range(4)]
    assert k_anonymous(rows, ("age",), sensitive="risk") == (rows[:5], 13)
    assert k_anonymous(rows, ("age",)) == (rows[:14], 4)


def test_no_random_table_tells_of_a_small_group() -> None:
    rng = random.Random(7)
    for _ in range(300):
        counts = {name: rng.choice([0, rng.randint(1, 10), rng.randint(11, 90)]) for name in "abcd"}
        cells = safe_cells(counts)
        hidden = sum(counts[name] for name, shown in cells.items() if shown is None)
        assert all(shown is None for name, shown in cells.items() if counts[name] < 11)
        assert None not in cells.values() or hidden >= 11 or not any(cells.values())
        emptied = {name: n if n >= 11 else 0 for name, n in counts.items()}
        if sum(counts.values()) - sum(emptied.values()) < 11:
            assert safe_cells(emptied) == cells, "a table without the few is the same table"


def test_the_area_is_delong_s() -> None:
    rng = random.Random(3)
    y = [n % 2 for n in range(80)]
    p = [round(rng.gauss(0.4 + 0.2 * outcome, 0.2), 2) for outcome in y]
    pairs = [(a, b) for a, one in zip(p, y) if one for b, other in zip(p, y) if not other]
    by_hand = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)
    area = auroc(y, p)
    assert area is not None and area.value == pytest.approx(by_hand)
    assert auroc([1, 0, 0], [0.5, 0.1, 0.2]) is None
    assert auroc([1, 1, 0, 0], [0.9, 0.8, 0.1, 0.2]) == (1.0, 1.0, 1.0, 0.0)




# --- blur


def drawing(rng: random.Random) -> Any:
    return lambda name: rng.uniform(-1, 1)


def test_two_means_cannot_be_subtracted_to_one_person() -> None:
    """Women of 50 to 80 and of 50 to 79: twelve times the one mean less eleven times the other was the age of the oldest."""
    rng, errors = random.Random(5), []
    for _ in range(400):
        others = [rng.uniform(50, 79) for _ in range(11)]
        more, less = (blurred(people, drawing(rng)) for people in ([*others, 80.0], others))
        assert more is not None and less is not None
        errors.append(12 * more.mean - 11 * less.mean - 80)
    missed = [abs(error) for error in errors]
    assert sum(error > 15 for error in missed) > 280, "the oldest's age must not be told to half the width of the cohort"
    assert abs(sum(errors) / 400) < 10, "and the blur leans to neither side"


@pytest.mark.parametrize("size", [11, 60, 1000])
def test_a_blurred_mean_is_off_by_what_is_said_and_no_more(size: int) -> None:
    rng = random.Random(size)
    for scale in (0.003, 1, 4000):
        values = [rng.gauss(10, 2) * scale for _ in range(size)]
        for end in (-1.0, 1.0):
            found = blurred(values, lambda name, end=end: end)
            low, _, high = quantiles(values, n=4, method="inclusive")
            inside = [min(max(value, low - 1.5 * (high - low)), high + 1.5 * (high - low)) for value in values]
            assert found is not None and 0 < abs(found.mean - fmean(inside)) <= found.at_most
            assert abs(found.sd - stdev(inside)) <= found.at_most
            assert f"{found.mean:.{found.decimals}f}" != "0.0", "a small mean keeps its digits"
    assert size < 1000 or found.at_most < 0.02 * found.mean, "of many people the blur is small"


def test_one_far_value_moves_a_mean_no_further_than_the_fences() -> None:
    values = [float(number) for number in range(40)]
    near, far = (blurred([*values, last], lambda name: 0.0) for last in (100.0, 1e9))
    assert near == far


def test_values_that_are_almost_all_one_are_not_averaged() -> None:
    assert blurred([70.0] * 40, lambda name: 0.5) is None
    assert blurred([0.0] * 35 + [1.0] * 5, lambda name: 0.5) is None


def test_an_area_is_off_by_up_to_what_one_person_moves_it() -> None:
    rng = random.Random(9)
    y = [number % 2 for number in range(40)]
    area = auroc(y, [rng.gauss(0.4 + 0.1 * outcome, 0.1) for outcome in y])
    assert area is not None
    for end in (-1.0, 1.0):
        told = blurred_area(area, 20, 20, lambda name, end=end: end)
        assert 0.04 < end * (told.value - area.value) <= told.at_most == 0.1
        assert told.low < area.value < told.high and told.low < told.value < told.high
        assert told == (round(told.value, 2), round(told.low, 2), round(told.high, 2), told.at_most)
