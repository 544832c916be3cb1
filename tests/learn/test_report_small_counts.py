"""What a report counts along the risks is of eleven people or more, so that it parts off nobody alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from salus_learn.evaluation.curves import calibration_bins
from salus_learn.reporting.build import build_report

from tests.factories.judged import make_judged


@pytest.mark.parametrize(("n", "cases_each"), [(60, 1), (45, 1), (300, 6), (8, 1)])
def test_no_part_of_a_curve_is_of_fewer_than_eleven_people(n: int, cases_each: int) -> None:
    """Tenths of sixty people were six each, and a tenth's first and last risk were two single people's."""
    few = make_judged(n, cases_each=cases_each)
    made = build_report(few)
    y, p, persons = few.y, few.probabilities["fused"], few.persons
    bins = calibration_bins(y, p, persons)
    assert made["calibration"]["bins"] == bins and not {"from", "to"} & {key for row in bins for key in row}
    assert sum(row["n"] for row in bins) == n and sum(row["events"] for row in bins) == y.sum()
    start = 0
    for row in bins:  # equal risks are never parted, so bins are stretches of the sorted risks
        inside = np.argsort(p, kind="stable")[start : start + row["n"]]
        assert len(np.unique(persons[inside])) >= 11 or len(bins) == 1
        start += row["n"]
    for arm, body in made["matrix"].items():
        on = few.known(arm)
        found, who, of = few.probabilities[arm][on], few.persons[on], body["thresholds"]
        for at in range(of["first"], of["last"] + 1):
            flagged = found >= at / of["steps"]
            assert min(len(np.unique(who[side])) for side in (flagged, ~flagged)) >= 11 or of["first"] == of["last"]
            assert of["tp"][at] + of["fp"][at] == flagged.sum() or of["first"] == of["last"]
        beyond = [(of["tp"][at], of["fp"][at]) for at in (*range(of["first"]), *range(of["last"] + 1, of["steps"] + 1))]
        assert set(beyond) <= {(of["events"], of["others"]), (0, 0)}


def test_of_a_small_group_neither_count_is_told_where_one_is_of_fewer_than_eleven() -> None:
    """Of thirty men 25 had the outcome: so five had not."""
    judged = make_judged()
    y = np.where(np.arange(420) < 30, np.arange(420) < 25, judged.y).astype(int)
    (men,) = (row for row in build_report(replace(judged, y=y))["subgroups"]["rows"] if row["value"] == "male")
    assert (men["n"], men["events"]) == (30, None)
    y[:30] = np.arange(30) < 15
    (men,) = (row for row in build_report(replace(judged, y=y))["subgroups"]["rows"] if row["value"] == "male")
    assert (men["n"], men["events"]) == (30, 15)
