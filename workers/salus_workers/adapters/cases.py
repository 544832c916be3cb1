"""The cases of a task, whichever kind of index it has: a case table's rows or stays in hospital."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from salus_learn.contracts import RiskTask

from salus_workers.adapters.snapshots import StoredCase, table_cases
from salus_workers.adapters.stays import stay_cases


def stored_cases(task: RiskTask, by: Any) -> list[StoredCase]:
    """Every stored case of the task."""
    return table_cases(task, by) if task.index == "case" else stay_cases(task, by)


def current_cases(task: RiskTask, by: Any, patient_ids: Sequence[str]) -> list[StoredCase]:
    """The newest case of each of these patients; a patient without one is left out."""
    if task.index != "case":
        return stay_cases(task, by, patient_ids, newest_only=True)
    newest = {case.patient_id: case for case in table_cases(task, by, patient_ids)}
    return list(newest.values())
