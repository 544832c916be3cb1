"""One stay with a value that cannot be read keeps nobody else from being taught; a source that is wrong does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from salus_learn.contracts import Case, PatientSnapshot, RecordValue
from salus_learn.errors import SnapshotError
from salus_learn.tasks.loader import task_from_text
from salus_workers.adapters.snapshots import StoredCase
from salus_workers.adapters.taught import UNREADABLE, no_case, readable

from tests.factories.simulated import ONCE

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
TASK = task_from_text(ONCE)


def case(number: int, unit: str | None) -> Case:
    pulse = RecordValue("8867-4", "http://loinc.org", 80.0, unit, WHEN, f"chart {number}")
    return Case(PatientSnapshot(str(number), str(number), WHEN, (pulse,), ()), number % 2)


def test_one_wrong_value_is_left_out_and_told() -> None:
    cases = [case(number, "/min") for number in range(19)] + [case(19, "Hz")]
    taught = readable(TASK, cases)
    assert [one.snapshot.key for one in taught] == [str(number) for number in range(19)]
    stored = [StoredCase(one.snapshot, one.snapshot.person, one.snapshot.key, one.outcome, 0) for one in cases]
    assert no_case(TASK, stored, taught) == ((UNREADABLE, 1),)


def test_a_source_that_is_wrong_stops_the_training_with_the_value_s_own_sentence() -> None:
    with pytest.raises(SnapshotError, match="chart 0: Heart rate is in Hz"):
        readable(TASK, [case(number, "Hz" if number < 3 else "/min") for number in range(20)])
