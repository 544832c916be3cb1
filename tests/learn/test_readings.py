"""What one feature reads in a record: whose code it is, its unit, two values of one moment, and how a number is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from salus_learn.contracts import PatientSnapshot, RecordValue, RiskTask
from salus_learn.errors import SnapshotError
from salus_learn.features.readings import Reading, belongs, read_features
from salus_learn.tasks.loader import task_from_text

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOINC, LOCAL = "http://loinc.org", "http://example.org/local"


def task(aggregation: str = "latest", unit: str = "mmol/L", kind: str = "number") -> RiskTask:
    measure = f'unit = "{unit}"' if unit else ""
    return task_from_text(f"""
[task]
id = "t"
title = "t"
index = "encounter-start + 24 h"
[outcome]
label = "o"
code = "O"
horizon_days = 2
[[feature]]
name = "lactate"
label = "Lactate"
kind = "{kind}"
code = "2524-7"
system = "{LOINC}"
aggregation = "{aggregation}"
{measure}
""")


def value(number: float | str, unit: str | None = "mmol/L", *, system: str = LOINC, hours: float = 1, source: str = "lab") -> RecordValue:
    return RecordValue("2524-7", system, number, unit, NOW - timedelta(hours=hours), source)


def read(asked: RiskTask, *values: RecordValue) -> Reading:
    return read_features(asked, PatientSnapshot("k", "p", NOW, values, ()))[0]


def test_the_same_code_of_another_system_is_another_thing() -> None:
    foreign, own = value(77.0, system=LOCAL, hours=0), value(1.5)
    assert read(task(), foreign).value is None and read(task(), foreign, own).value == 1.5
    assert read(task("count"), foreign, own).value == 1
    spec = task().features[0]
    assert belongs(spec, own) and not belongs(spec, foreign)


@pytest.mark.parametrize("unit", [None, ""])
def test_a_number_of_a_record_without_a_unit_is_refused(unit: str | None) -> None:
    with pytest.raises(SnapshotError, match=r"^lab: Lactate has no unit, the model needs mmol/L\.$"):
        read(task(), value(18.0, unit))
    assert read(task("count"), value(18.0, unit)).value == 1, "what is counted needs none"
    assert read(task(unit=""), value(18.0, unit)).value == 18, "nor what the task names none for"
    assert read(task(unit="{score}"), value(18.0, unit)).value == 18, "nor a score, whose unit says that there is none"


@pytest.mark.parametrize("aggregation", ["latest", "first"])
def test_two_different_numbers_of_the_moment_that_is_read_are_refused(aggregation: str) -> None:
    with pytest.raises(SnapshotError, match="Lactate has two different values at one moment"):
        read(task(aggregation), value(1.0), value(9.0))
    with pytest.raises(SnapshotError, match="two different values"):
        read(task(aggregation), value(1.0), value("<1.0"))
    with pytest.raises(SnapshotError, match="two different values"):
        read(task(aggregation, unit="", kind="category"), value("low", None), value("high", None))
    other = {"latest": 2, "first": 0}[aggregation]
    assert read(task(aggregation), value(1.0, hours=other), value(9.0, hours=other), value(4.0)).value == 4, "of another moment"


def test_in_whatever_order_values_come_the_same_is_read() -> None:
    values = [value(4.0, source="lab b"), value(4.0, source="lab a"), value(3.0, hours=2, source="lab c")]
    for aggregation in ("latest", "first", "mean", "max", "count", "slope_per_day"):
        assert len({read(task(aggregation), *order) for order in permutations(values)}) == 1


@pytest.mark.parametrize(("number", "said"), [
    (12345.0, "12345"), (250000.0, "250000"), (9999.6, "10000"), (1234.5, "1234"), (99.95, "99.95"), (7.0, "7"), (1.23456, "1.235"),
    (0.00001234, "0.00001234"), (-0.5, "-0.5"), (0.0, "0"),
])  # fmt: skip
def test_numbers_are_written_as_a_person_writes_them(number: float, said: str) -> None:
    assert read(task(), value(number)).as_text(task().features[0]) == said
