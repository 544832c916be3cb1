"""Reads a folder of cases: one CSV row per case (or several: pooling.py), columns and images named by the task file.

Every refusal names the file, the row (the header is row 1) and the column.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from salus_learn.contracts import (
    Case,
    FeatureSpec,
    ImageSpec,
    PatientSnapshot,
    RecordValue,
    RiskTask,
    SnapshotImage,
)
from salus_learn.errors import CaseError
from salus_learn.tasks.limits import limit_of
from salus_learn.tasks.pictures import mask_region, picture, text_region
from salus_learn.tasks.places import named_file, table_file
from salus_learn.tasks.pooling import pooled
from salus_learn.tasks.rows import LONGEST_WORD, MOST_WORDS, CaseRow, CaseTable, RowImage
from salus_learn.tasks.table import number_hint, table_of
from salus_learn.tasks.words import kind_of, one_person, outcome_of, person_in, word_of, words_in

LARGEST = 1e30  # beyond it the trees' numbers of 32 bits have no room
LONGEST_CELL, LONGEST_ID = 400, 200  # letters of a text, and of a person's or case's name; the platform takes no longer ones
# A case table has no clock: every case is taken at one moment, and its outcome a second later.
CASE_INDEX_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def case_system(task: RiskTask) -> str:
    """The code system under which a case table's columns are stored."""
    return f"urn:salus:case-table:{task.id}"


def read_case_table(task: RiskTask, folder: Path | str, *, require_outcome: bool = True, require_never: bool = True) -> CaseTable:
    """Read and check every case without decoding images. Raises CaseError.

    Where the outcome is needed, cases whose word is neither positive nor negative are left out when the task lists both, and the
    columns under `never` must be there, as a misspelt one guards nothing; with `require_never` False they may be lacking, as in
    another hospital's table that a finished model is judged on.
    """
    found, not_kept, words = _found(task, Path(folder), require_outcome, require_never)
    others = [row for row in found if require_outcome and _left_out(task, row)]
    rows = [row for row in found if not (require_outcome and _left_out(task, row))]
    _check_rows(task, rows, words, require_outcome)
    taken = [] if task.outcome.negative else [row.outcome_word for row in rows if row.outcome == 0]
    held = set().union(*(words_in(task.outcome, word) for word in words))
    unseen = tuple(word for word in (*task.outcome.positive, *task.outcome.negative) if word not in held)
    return CaseTable(rows, not_kept, Counter(row.outcome_word for row in others), Counter(taken), unseen)


def read_case_rows(task: RiskTask, folder: Path | str, *, require_outcome: bool = True) -> list[CaseRow]:
    """The cases of `read_case_table` alone."""
    return read_case_table(task, folder, require_outcome=require_outcome).rows


def _found(task: RiskTask, folder: Path, require_outcome: bool, require_never: bool) -> tuple[list[CaseRow], int, Counter[str]]:
    """Every case of the rows that the task keeps, how many rows it does not keep, and the outcome's words in the kept ones."""
    header, lines = table_of(task, table_file(task, folder))
    check_columns(task, header, outcome=require_outcome, never=require_outcome and require_never)
    kept = [(number, line) for number, line in lines if all(line.get(column, "") in words for column, words in task.only)]
    if not kept:
        raise CaseError(f"{task.table}: no row is left by [cases] only ({', '.join(column for column, _ in task.only)}).")
    found = [_row(task, folder, number, line) for number, line in kept]
    words = Counter(row.outcome_word for row in found)
    if task.pooled:
        _check_twice(task, found)
        found = pooled(task, found)
    return found, len(lines) - len(kept), words


def read_cases(task: RiskTask, folder: Path | str) -> list[Case]:
    """Rows with their outcome and decoded images, ready for training and judging."""
    return cases_of(task, read_case_table(task, folder))


def cases_of(task: RiskTask, table: CaseTable) -> list[Case]:
    """The cases of a table that is read, with decoded images."""
    return [_case(task, row) for row in table.rows]


def _case(task: RiskTask, row: CaseRow) -> Case:
    own = tuple(outcome_of(task.outcome, image.outcome_word) for image in row.images) if task.pooled else ()
    kind = kind_of(task.outcome, row.outcome_word)
    return Case(snapshot_of_row(task, row), int(row.outcome or 0), row.time_days, kind, image_outcomes=own)


def snapshot_of_row(task: RiskTask, row: CaseRow) -> PatientSnapshot:
    """One row as a snapshot at the case's index moment."""
    system, table = case_system(task), task.table
    values = tuple(
        RecordValue(
            code=str(spec.column), system=system, value=row.values[spec.name], unit=spec.unit,
            time=CASE_INDEX_TIME, source=f"{table} {row.place}",
        )
        for spec in task.features
        if spec.name in row.values
    )  # fmt: skip
    images = tuple(_snapshot_image(entry, str(table)) for entry in row.images)
    return PatientSnapshot(row.case, row.person, CASE_INDEX_TIME, values, images)


def _snapshot_image(entry: RowImage, table: str) -> SnapshotImage:
    pixels, sha256 = picture(entry.path, f"{table} row {entry.row}")
    return SnapshotImage(
        slot=entry.spec.name, modality=entry.spec.modality, body_part=entry.spec.body_part,
        view=entry.spec.view or entry.spec.name, time=CASE_INDEX_TIME,
        source=f"{table} row {entry.row}, {entry.path.name}", sha256=sha256, pixels=pixels,
        region=entry.region,
    )  # fmt: skip


def check_columns(task: RiskTask, header: Sequence[str], *, outcome: bool = True, never: bool = True) -> None:
    """Every column the task names is there, with the outcome's and those under `never` where they are needed. Raises CaseError."""
    wanted = [task.patient_column, task.case_column, *(spec.column for spec in task.features)]
    wanted += [column for column, _ in task.only]
    wanted += [spec.column for spec in task.images] + [spec.region_column for spec in task.images]
    if outcome:
        wanted += [task.outcome.column, task.outcome.time_column]
    for column in wanted:
        if column and column not in header:
            raise CaseError(f"{task.table} has no column “{column}”. Its columns are: {', '.join(header)}.")
    for column in task.never if never else ():
        if column not in header:
            near = get_close_matches(column, header, n=3)
            raise CaseError(
                f"{task.table} has no column “{column}”, which the task file lists under never, so nothing is guarded by it. "
                + (f"Near it are: {', '.join(near)}." if near else f"Its columns are: {', '.join(header)}.")
            )


def _row(task: RiskTask, folder: Path, number: int, line: dict[str, str]) -> CaseRow:
    """One row, checked."""
    where = f"{task.table} row {number}"
    case = line.get(task.case_column or "", "") or str(number)
    person = person_in(task, line)
    if task.pooled and not person:
        raise CaseError(f"{where}, column {task.patient_column}: it is empty, so nobody can say whose row this is; all rows of a patient make one case.")
    for column, name in ((task.case_column, case), (task.patient_column, person)):
        if len(name) > LONGEST_ID:
            raise CaseError(f"{where}, column {column}: “{name[:LONGEST_WORD]}…” has {len(name):,} letters; a name of at most {LONGEST_ID} is taken.")
    person = one_person(task, person or case)
    values: dict[str, float | str] = {}
    for spec in task.features:
        word = line.get(spec.column or "", "")
        if spec.column and word not in task.missing_words and word != "":
            values[spec.name] = _value(spec, word, where)
    images = tuple(
        image for spec in task.images if (image := _image(task, spec, folder, number, line)) is not None
    )
    word = word_of(task, line)
    outcome = outcome_of(task.outcome, word)
    time = None if outcome is None else _time(task, line, where)
    return CaseRow(number, f"row {number}", person, case, values, images, outcome, word, time)


def _number(word: str) -> float:
    """A number as tables write them. Raises ValueError, also for 1_366, which only programs write."""
    if "_" in word:
        raise ValueError(word)
    return float(word)


def _left_out(task: RiskTask, row: CaseRow) -> bool:
    """Neither with nor without the outcome, or not known where the task says that such rows are left out."""
    return row.outcome is None and bool(row.outcome_word or task.leave_out_unknown)


def _value(spec: FeatureSpec, word: str, where: str) -> float | str:
    """A cell as a number, a known word, or a word that states the limit of a number (“<0.5”)."""
    if spec.kind != "number":
        if len(word) > LONGEST_CELL:
            raise CaseError(f"{where}, column {spec.column}: a text of {len(word):,} letters; at most {LONGEST_CELL} are taken.")
        if spec.levels and spec.kind == "category" and word not in spec.levels:
            raise CaseError(f"{where}, column {spec.column}: “{word}” is not one of {', '.join(spec.levels)}.")
        return word
    limit = limit_of(word)
    try:
        number = limit.number if limit else _number(word)
    except ValueError:
        raise CaseError(f"{where}, column {spec.column}: “{word[:LONGEST_WORD]}” is not a number.{number_hint(word)}") from None
    if not math.isfinite(number):
        raise CaseError(f"{where}, column {spec.column}: “{word}” is not a finite number.{number_hint(word)}")
    if abs(number) > LARGEST:
        raise CaseError(f"{where}, column {spec.column}: “{word[:LONGEST_WORD]}” is beyond {LARGEST:.0e}; nothing that is measured is so large.")
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.low is not None and number < spec.low or spec.high is not None and number > spec.high:
        raise CaseError(f"{where}, column {spec.column}: {word}{unit} is outside {spec.low} to {spec.high}{unit}.")
    return f"{limit.sign}{limit.number:.15g}" if limit else number


def _image(task: RiskTask, spec: ImageSpec, folder: Path, number: int, line: dict[str, str]) -> RowImage | None:
    """The image a row names for one slot, with its marked region."""
    where = f"{task.table} row {number}"
    name = line.get(spec.column or "", "")
    if name in task.missing_words or not name:
        if spec.may_be_missing:
            return None
        raise CaseError(f"{where}, column {spec.column}: the image {spec.name} must not be missing.")
    path = named_file(folder, spec.folder, name, where, str(spec.column))
    marked = line.get(spec.region_column or "", "")
    region = None
    if spec.region_column and marked not in task.missing_words and marked:
        if marked.replace(",", " ").replace(".", " ").replace("-", " ").replace(" ", "").isdigit():
            region = text_region(marked, path, f"{where}, column {spec.region_column}")
        else:
            mask = named_file(folder, spec.region_folder or spec.folder, marked, where, spec.region_column)
            region = mask_region(mask, path, f"{where}, column {spec.region_column}")
    return RowImage(spec, path, region, number)


def _time(task: RiskTask, line: dict[str, str], where: str) -> float | None:
    """Days to the outcome or to the last time seen, where the task asks when."""
    column = task.outcome.time_column
    if not column:
        return None
    word = line.get(column, "")
    try:
        days = _number(word) * task.outcome.time_unit_days
    except ValueError:
        raise CaseError(f"{where}, column {column}: “{word}” is not a time in numbers.") from None
    if not 0 <= days <= LARGEST:
        raise CaseError(f"{where}, column {column}: {word} is not a time after the index.")
    return days


def _check_rows(task: RiskTask, rows: list[CaseRow], words: Counter[str], require_outcome: bool) -> None:
    """No case twice; with outcomes, enough of both classes."""
    _check_twice(task, rows)
    if not require_outcome:
        return
    unknown = [row for row in rows if row.outcome is None]
    if unknown:
        raise CaseError(f"{task.table} row {unknown[0].number}, column {task.outcome.column}: the outcome is missing.")
    counts = np.bincount([int(row.outcome or 0) for row in rows], minlength=2)
    for label, count in (("without", counts[0]), (f"with “{task.outcome.label}”", counts[1])):
        if count < 2:
            held = ", ".join(f"“{word[:LONGEST_WORD]}”" for word, _ in words.most_common(MOST_WORDS) if word)
            raise CaseError(f"{task.table}: only {count} case(s) {label} the outcome; at least 2 are needed. Commonest in column {task.outcome.column}: {held or 'nothing'}.")


def _check_twice(task: RiskTask, rows: list[CaseRow]) -> None:
    """No case twice."""
    by_case: dict[str, list[int]] = {}
    for row in rows:
        by_case.setdefault(row.case, []).append(row.number)
    for case, numbers in by_case.items():
        if len(numbers) > 1:
            column = f"column {task.case_column}" if task.case_column else "named by its row"
            where = " and ".join(str(number) for number in numbers[:2]) + (" and more" if len(numbers) > 2 else "")
            raise CaseError(f"{task.table}: the case “{case}” ({column}) stands in {len(numbers)} rows. They are {where}.")
