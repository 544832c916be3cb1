"""Which stored cases teach a model, and how many do not, with the reason."""

from __future__ import annotations

from collections.abc import Mapping

from salus_learn.contracts import Case, RiskTask
from salus_learn.errors import SnapshotError
from salus_learn.features.readings import read_features

from salus_workers.adapters.case_tables import LEFT_OUT, TAKEN
from salus_workers.adapters.snapshots import StoredCase

Counted = tuple[tuple[str, int], ...]  # what is counted, in words, and how many
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


def of_table(counts: Mapping[str, int]) -> dict[str, Counted]:
    """Of an upload's counts who of its table is no case and who counts as without the outcome, for the head of a report."""
    left_out = tuple((kind.removeprefix(LEFT_OUT), number) for kind, number in counts.items() if kind.startswith(LEFT_OUT) and number)
    taken = (("cases whose word the task does not list", counts[TAKEN]),) if counts.get(TAKEN) else ()
    return {"left_out": left_out, "taken": taken}


def no_case(task: RiskTask, cases: list[StoredCase], taught: list[Case]) -> tuple[tuple[str, int], ...]:
    """How many stored cases taught nothing and were not judged, with the reason."""
    already = sum(bool(case.already) for case in cases)
    unknown = sum(case.outcome is None and not case.already for case in cases)
    unreadable = len(cases) - len(taught) - already - unknown
    reasons = ((UNKNOWN if task.index == "case" else NOT_OVER, unknown), (ALREADY, already), (UNREADABLE, unreadable))
    return tuple((why, number) for why, number in reasons if number)
