"""All rows of one person become one case ([cases] one_case_per = "patient"). Knows nothing of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from salus_learn.contracts import FeatureSpec, RiskTask
from salus_learn.errors import CaseError
from salus_learn.tasks.rows import CaseRow, RowImage
from salus_learn.tasks.words import kind_of

_MOST_ROWS_SAID = 5


def pooled(task: RiskTask, rows: Sequence[CaseRow]) -> list[CaseRow]:
    """One case per person, in the order of their first rows. Raises CaseError where rows of one person contradict each other."""
    by_person: dict[str, list[CaseRow]] = {}
    for row in rows:
        by_person.setdefault(row.person, []).append(row)
    return [_one_case(task, person, own) for person, own in by_person.items()]


def _one_case(task: RiskTask, person: str, rows: list[CaseRow]) -> CaseRow:
    decides = _deciding(task, rows)
    values = {}
    for spec in task.features:
        value = _agreed(task, spec, rows)
        if value is not None:
            values[spec.name] = value
    return CaseRow(
        decides.number, _place(rows), person, person, values, _images(task, rows), decides.outcome, decides.outcome_word
    )


def _deciding(task: RiskTask, rows: Sequence[CaseRow]) -> CaseRow:
    """The row whose word is the case's outcome: the worst row with the outcome; else one that is not known, for it might
    have it; else one whose word is of neither list; else the first."""
    with_outcome = [row for row in rows if row.outcome == 1]
    if with_outcome:
        kinds: list[str | None] = [kind for kind, _ in task.outcome.kinds] or [None]
        return max(with_outcome, key=lambda row: kinds.index(kind_of(task.outcome, row.outcome_word)))
    unknown = [row for row in rows if row.outcome is None]
    return min(unknown or rows, key=lambda row: bool(row.outcome_word))


def _agreed(task: RiskTask, spec: FeatureSpec, rows: Sequence[CaseRow]) -> float | str | None:
    """The one value of a feature that the rows hold; None where none holds any."""
    first: CaseRow | None = None
    for row in rows:
        if spec.name not in row.values:
            continue
        if first is None:
            first = row
        elif row.values[spec.name] != first.values[spec.name]:
            one, other = (_said(found.values[spec.name]) for found in (first, row))
            raise CaseError(
                f"{task.table} rows {first.number} and {row.number}, column {spec.column}: {one} and {other} differ, "
                f"but both rows are of {task.patient_column} “{row.person}” and make one case."
            )
    return None if first is None else first.values[spec.name]


def _said(value: float | str) -> str:
    return f"“{value}”" if isinstance(value, str) else f"{value:g}"


def _images(task: RiskTask, rows: Sequence[CaseRow]) -> tuple[RowImage, ...]:
    """Every row's images, slot by slot and then row by row; several in one slot are its views."""
    return tuple(
        replace(image, own_case=row.case, outcome_word=row.outcome_word)
        for spec in task.images
        for row in rows
        for image in row.images
        if image.spec.name == spec.name
    )


def _place(rows: Sequence[CaseRow]) -> str:
    """The rows' numbers in words; of many only the first."""
    numbers = [str(row.number) for row in rows]
    if len(numbers) == 1:
        return f"row {numbers[0]}"
    if len(numbers) > _MOST_ROWS_SAID:
        return f"rows {', '.join(numbers[:_MOST_ROWS_SAID])} and {len(numbers) - _MOST_ROWS_SAID} more"
    return f"rows {', '.join(numbers[:-1])} and {numbers[-1]}"
