"""The moments of a stay at which a risk is asked: once, some hours after it began, or again and again while it lasts.

Written “encounter-start + 24 h”, or “encounter-start + 24 h, then every 24 h to 96 h” (landmarks: van Houwelingen 2007).
"""

from __future__ import annotations

import re

from salus_learn.contracts import PatientSnapshot, RiskTask
from salus_learn.errors import TaskError

HOW = "“case”, “encounter-start + N h” or “encounter-start + N h, then every N h to N h”"
MOST = 40
# how long the stay has lasted, in hours: of every snapshot of a stay, so that a task may name it as a feature
STAY_HOURS, STAY_SYSTEM, STAY_UNIT = "hours_since_admission", "salus", "h"
_NUMBER = r"(\d+(?:\.\d+)?)"
_INDEX = re.compile(rf"^encounter-start(?: \+ {_NUMBER} h)?(?:, then every {_NUMBER} h to {_NUMBER} h)?$")


def check_index(index: str, name: str) -> None:
    """Raise TaskError where the words of `[task] index` are not understood, or name more than 40 moments of a stay or two
    within an hour. `name` is the task file's."""
    if index == "case":
        return
    found = _INDEX.match(index)
    if found is None:
        raise TaskError(f"{name}: [task] index “{index}” is not understood. It may be {HOW}.")
    if found.group(2) is None:
        return
    first, every, last = (float(part or 0) for part in found.groups())
    if every < 1:
        raise TaskError(f"{name}: [task] index “{index}” asks again within an hour; the shortest step is 1 h.")
    if last < first + every:
        raise TaskError(f"{name}: [task] index “{index}” ends before it is asked a second time.")
    if (last - first) / every >= MOST:
        raise TaskError(f"{name}: [task] index “{index}” names more than {MOST} moments of a stay.")


def index_hours(task: RiskTask) -> tuple[float, ...]:
    """Hours from the start of a stay to each of its index moments, the first one first (at most 40). Raises TaskError for a
    case table's task."""
    found = _INDEX.match(task.index)
    if found is None:
        raise TaskError(f"The task {task.id} has its index at each case, not in a stay.")
    first, every, last = found.groups()
    start = float(first or 0)
    if every is None:
        return (start,)
    steps = int((float(last) - start) / float(every) + 1e-9)
    return tuple(start + step * float(every) for step in range(steps + 1))


def asks_again(task: RiskTask) -> bool:
    """Whether a stay has several index moments."""
    return task.index != "case" and len(index_hours(task)) > 1


def hours_of(snapshot: PatientSnapshot) -> float | None:
    """How long the stay of a snapshot had lasted at its index moment, in hours; None where it is of no stay."""
    found = (value.value for value in snapshot.values if (value.code, value.system) == (STAY_HOURS, STAY_SYSTEM))
    hours = next(found, None)
    return float(hours) if hours is not None else None
