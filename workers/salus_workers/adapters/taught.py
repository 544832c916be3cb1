"""Which stored cases teach a model, and how many do not, with the reason."""

from __future__ import annotations

from salus_learn.contracts import Case, RiskTask
from salus_learn.errors import SnapshotError
from salus_learn.features.readings import read_features

from salus_workers.adapters.snapshots import StoredCase

UNKNOWN = "stored cases whose outcome is not known"
NOT_OVER = f"{UNKNOWN}, or whose stay is not over"
UNREADABLE = "stored cases with an input that cannot be read: another unit or none, out of range, or two values of one moment"
UNREADABLE_AT_MOST = 0.1  # of more than that it is the source that is wrong, and whoever trains is to know of what
ALREADY = "stored cases in whose stay the outcome had come before the index moment"


def readable(task: RiskTask, cases: list[Case]) -> list[Case]:
    """Those whose inputs can be read: one wrong value of one stay must not keep everybody from being taught. Raises the first
    SnapshotError where they are more than one in ten."""
    kept, wrong = [], []
    for case in cases:
        try:
            read_features(task, case.snapshot)
        except SnapshotError as error:
            wrong.append(error)
        else:
            kept.append(case)
    if len(wrong) > UNREADABLE_AT_MOST * len(cases):
        raise wrong[0]
    return kept


def no_case(task: RiskTask, cases: list[StoredCase], taught: list[Case]) -> tuple[tuple[str, int], ...]:
    """How many stored cases taught nothing and were not judged, with the reason."""
    already = sum(bool(case.already) for case in cases)
    unknown = sum(case.outcome is None and not case.already for case in cases)
    unreadable = len(cases) - len(taught) - already - unknown
    reasons = ((UNKNOWN if task.index == "case" else NOT_OVER, unknown), (ALREADY, already), (UNREADABLE, unreadable))
    return tuple((why, number) for why, number in reasons if number)
