"""Values beyond the limit of a measurement: taken as the limit, said with their sign, and never as a measured number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from salus_learn.contracts import FeatureSpec, PatientSnapshot, RecordValue, RiskTask
from salus_learn.errors import CaseError, SnapshotError
from salus_learn.features.readings import Reading, read_features
from salus_learn.leaks.table import Table
from salus_learn.tasks.cases import read_case_rows, read_cases
from salus_learn.tasks.limits import Limit, limit_of
from salus_learn.tasks.loader import task_from_text

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
TASK = """
[task]
id = "crp"
title = "From C-reactive protein"
[outcome]
label = "ill"
column = "ill"
positive = ["yes"]
[cases]
table = "cases.csv"
[[feature]]
name = "crp"
label = "C-reactive protein"
unit = "mg/L"
column = "crp"
low = 0.3
high = 600
"""


@pytest.mark.parametrize(
    ("word", "limit"),
    [
        ("<5", Limit("<", 5.0)), ("> 600", Limit(">", 600.0)), ("≤0.5", Limit("<=", 0.5)), ("≥ 1e3", Limit(">=", 1000.0)), ("<-2.5", Limit("<", -2.5)),
        ("<.5", Limit("<", 0.5)), ("5", None), ("<", None), ("< 5 mg/L", None), ("<<5", None), ("=5", None), ("5<", None), ("<nan", None), ("", None),
    ],
)  # fmt: skip
def test_what_states_a_limit(word: str, limit: Limit | None) -> None:
    assert limit_of(word) == limit


def task(text: str = TASK) -> RiskTask:
    return task_from_text(text)


def reading(aggregation: str, *values: float | str) -> tuple[Reading, FeatureSpec]:
    """The feature read from values a day apart, the newest last."""
    asked = task(TASK.replace("[[feature]]", f'[[feature]]\naggregation = "{aggregation}"'))
    days = len(values)
    known = tuple(RecordValue("crp", "s", value, "mg/L", NOW - timedelta(days=days - at), f"lab {at}") for at, value in enumerate(values, 1))
    return read_features(asked, PatientSnapshot("k", "p", NOW, known, ()))[0], asked.features[0]


@pytest.mark.parametrize(
    ("aggregation", "values", "number", "said"),
    [
        ("latest", (40.0, "<5"), 5.0, "<5"), ("latest", ("<5", 40.0), 40.0, "40"), ("first", ("<5", 40.0), 5.0, "<5"), ("min", (40.0, "<5", 7.0), 5.0, "<5"),
        ("max", (40.0, "> 600", 7.0), 600.0, ">600"), ("mean", (15.0, "<5"), 10.0, "10"), ("slope_per_day", (15.0, "<5"), -10.0, "-10"),
    ],
)  # fmt: skip
def test_the_limit_is_read_and_said_with_its_sign(aggregation: str, values: tuple[float | str, ...], number: float, said: str) -> None:
    found, spec = reading(aggregation, *values)
    assert found.value == number and found.as_text(spec) == said


@pytest.mark.parametrize(("word", "says"), [("low", "should be a number and is “low”"), ("<0.1", "C-reactive protein <0.1 is outside 0.3 to 600")])
def test_what_is_no_limit_or_outside_the_range_is_refused(word: str, says: str) -> None:
    with pytest.raises(SnapshotError, match=says):
        reading("latest", word)


def write(folder: Path, *cells: str) -> Path:
    rows = [f"{cell};{'yes' if at % 2 else 'no'}" for at, cell in enumerate(cells)]
    (folder / "cases.csv").write_text("\n".join(["crp;ill", *rows]))
    return folder


def test_a_case_table_may_hold_limits(tmp_path: Path) -> None:
    folder = write(tmp_path, "<0.5", "12", "≤ 5", "> 300")
    assert [row.values["crp"] for row in read_case_rows(task(), folder)] == ["<0.5", 12.0, "<=5", ">300"]
    read = [read_features(task(), case.snapshot)[0] for case in read_cases(task(), folder)]
    assert [(one.value, one.sign) for one in read] == [(0.5, "<"), (12.0, ""), (5.0, "<="), (300.0, ">")]
    with pytest.raises(CaseError, match=r"row 3, column crp: <0.1 mg/L is outside 0.3 to 600"):
        read_case_rows(task(), write(tmp_path, "1", "<0.1", "1", "1"))


def test_its_decimals_have_the_comma_that_the_task_names(tmp_path: Path) -> None:
    comma = task(TASK.replace("[cases]", '[cases]\ndecimal = ","'))
    assert [row.values["crp"] for row in read_case_rows(comma, write(tmp_path, "<0,5", "1,5", "1", "1"))] == ["<0.5", 1.5, 1.0, 1.0]
    with pytest.raises(CaseError, match="“<0.5” has a point, and the task file says that decimals have a comma"):
        read_case_rows(comma, write(tmp_path, "<0.5", "1", "1", "1"))
    with pytest.raises(CaseError, match="“<0,5” is not a number. If decimals have a comma here"):
        read_case_rows(task(), write(tmp_path, "<0,5", "1", "1", "1"))


def test_a_column_with_limits_is_a_column_of_numbers_for_the_leak_hunter() -> None:
    numbers = Table("t", {"crp": ["<5", "7", "<5", "> 9"]}, [2, 3, 4, 5], frozenset()).numbers("crp")
    assert numbers is not None and numbers.tolist() == [5, 7, 5, 9]
