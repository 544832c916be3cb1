"""The cases of a task, whichever kind of index it has: a case table's rows or stays in hospital."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from salus_learn.contracts import RiskTask
from salus_web.records.models import Encounter
from salus_web.records.scopes import CARE

from salus_workers.adapters.snapshots import StoredCase, table_cases, ward_of_cases
from salus_workers.adapters.stays import newest_stays, stay_cases


def stored_cases(task: RiskTask, by: Any, *, purpose: str, upload_id: str = "") -> list[StoredCase]:
    """Every stored case of the task, of people who allow the purpose; of a case table those that an upload held last."""
    return table_cases(task, by, purpose=purpose, upload_id=upload_id) if task.index == "case" else stay_cases(task, by, purpose=purpose)


def current_cases(
    task: RiskTask, by: Any, patient_ids: Sequence[str], *, answered: Collection[tuple[Any, datetime]] = ()
) -> list[StoredCase]:
    """The newest case of each of these patients; one without a case, or who does not allow care by Salus, is left out. A stay
    is asked about at its last index moment, and before it at those that are not among `answered` (stay, moment); one that has
    not come to its first says so (`too_early`), as does one that ended before it (`already`)."""
    if task.index != "case":
        return newest_stays(task, by, patient_ids, purpose=CARE, answered=answered)
    newest = {case.patient_id: case for case in table_cases(task, by, patient_ids, purpose=CARE)}
    return list(newest.values())


def people_left_out(task: RiskTask, by: Any, *, purpose: str, upload_id: str = "") -> int:
    """How many people have cases of the task (of an upload's table) and do not allow the purpose (2 queries)."""
    cases = Encounter.objects.for_actor(by)
    cases = cases.filter(kind="case", ward=ward_of_cases(task)) if task.index == "case" else cases.exclude(kind="case")
    cases = cases.filter(upload_id=upload_id) if upload_id else cases
    people = cases.order_by().values("patient_id").distinct()
    return people.count() - people.for_purpose(purpose).count()
