"""The hunt over a folder of cases: by its task file, or table by table where there is none."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from salus_learn.contracts import RiskTask
from salus_learn.errors import CaseError
from salus_learn.leaks.alone import enough
from salus_learn.leaks.columns import Table, answers, later, later_dates, two_units
from salus_learn.leaks.files import betrayed, file_facts
from salus_learn.leaks.finding import MOST_ROWS, Finding
from salus_learn.leaks.headers import header_words, one_header_for_two, source_columns
from salus_learn.leaks.people import duplicate_rows, same_person, sharing_images
from salus_learn.leaks.sources import is_source, source
from salus_learn.leaks.twins import Pair, Prints, fingerprint, near_duplicates
from salus_learn.tasks.cases import check_columns
from salus_learn.tasks.pictures import picture
from salus_learn.tasks.places import table_file
from salus_learn.tasks.table import read_table, table_of
from salus_learn.tasks.words import one_person, outcome_of, person_in, word_of

PERSON_COLUMNS = ("patient", "patientid", "patient_id", "person", "group", "cluster", "subject", "subject_id", "lesion_id", "id")
MOST_PAIRS = 30
YES = frozenset({"1", "1.0", "y", "yes", "true", "positive"})
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".dcm")
Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One table ready for the hunt: y (n,) of 0, 1 and NaN, people (n,) text, image files by row, inputs of the task.
    `pictured` are its columns of images; `named` is whether a column names the people."""

    table: Table
    y: np.ndarray
    people: np.ndarray
    images: Mapping[int, tuple[Path, ...]]
    inputs: frozenset[str]
    skip: frozenset[str]
    pictured: tuple[str, ...]
    named: bool


def hunt(folder: Path, task: RiskTask | None = None, *, label: str | None = None, index: str | None = None, report: Report | None = None) -> list[Finding]:
    """Every finding, the blocking ones first.

    With a task its table, rows and inputs are examined; without one every CSV table of the folder, with the outcome in
    the column `label` (its two commonest words) where it has one. `index` names a column with the day of the prediction:
    dates after it are known only later. `report` is told the share done, in [0, 1], and a line. Raises CaseError when there is nothing to
    examine, or a column that is asked for, here or by the task, is not there.
    """
    folder, tell = Path(folder), report or (lambda part, text: None)
    sheets = [_of_task(folder, task)] if task else [_of_table(folder, path, label) for path in sorted(folder.glob("*.csv"))]
    if not sheets:
        raise CaseError(f"{folder.name} holds no CSV table.")
    if task and label:
        raise CaseError("With a task file the outcome is the one it names, so no label is taken beside it.")
    for column in filter(None, (label, index)):
        _check_there(sheets, column)
    found: list[Finding] = []
    for at, sheet in enumerate(sheets):
        tell(at / len(sheets), f"{sheet.table.name}: columns")
        found += _columns(sheet, index)
        found += _images(sheet, lambda part, text, at=at: tell((at + 0.3 + 0.7 * part) / len(sheets), text))  # type: ignore[misc]
    return sorted(found, key=lambda one: (one.severity != "blocks", one.kind))


def _check_there(sheets: Sequence[_Sheet], column: str) -> None:
    """Raise CaseError where no table has the column: nothing found would read like nothing there."""
    if any(column in sheet.table.cells for sheet in sheets):
        return
    held = "; ".join(f"{sheet.table.name}: {', '.join(sheet.table.cells)}" for sheet in sheets)
    raise CaseError(f"No table has a column “{column}”. The columns are: {held}.")


def _of_task(folder: Path, task: RiskTask) -> _Sheet:
    """The task's own table, its rows, persons and inputs."""
    header, lines = table_of(task, table_file(task, folder))
    check_columns(task, header)
    lines = [(number, line) for number, line in lines if all(line.get(column, "") in words for column, words in task.only)]
    table = Table(str(task.table), _cells(header, lines), [number for number, _ in lines], frozenset(task.missing_words) | {""})
    y = np.array([_outcome(task, line) for _, line in lines])
    people = np.array([one_person(task, person_in(task, line) or str(number)) for number, line in lines])
    images = {at: _files(folder, [(spec.folder, line.get(spec.column or "", "")) for spec in task.images]) for at, (_, line) in enumerate(lines)}
    inputs = frozenset(spec.column for spec in task.features if spec.column)
    known = {task.patient_column, task.case_column, task.outcome.column, task.outcome.time_column}
    pictured = {column for spec in task.images for column in (spec.column, spec.region_column)}
    skip = frozenset(column for column in known | pictured if column) | frozenset(task.never)
    shown = tuple(spec.column for spec in task.images if spec.column)
    return _Sheet(table, y, people, images, inputs, skip, shown, bool(task.patient_column))


def _outcome(task: RiskTask, line: Mapping[str, str]) -> float:
    outcome = outcome_of(task.outcome, word_of(task, line))
    return float("nan") if outcome is None else float(outcome)


def _of_table(folder: Path, path: Path, label: str | None) -> _Sheet:
    """A table without a task: persons and images are guessed from names."""
    header, lines = read_table(path)
    table = Table(path.name, _cells(header, lines), [number for number, _ in lines], frozenset({"", "NA", "?", "nan"}))
    person = next((column for wanted in PERSON_COLUMNS for column in header if column.lower() == wanted), None)
    people = np.array([line.get(person or "", "") or str(number) for number, line in lines])
    pictured = [column for column in header if table.cells[column][0].lower().endswith(PICTURES)]
    images = {at: _files(folder, [(sub, line.get(column, "")) for column in pictured for sub in ("", "images")]) for at, (_, line) in enumerate(lines)}
    y = _two_commonest(table.cells[label], table.missing) if label and label in table.cells else np.full(len(lines), np.nan)
    skip = frozenset(column for column in (label, person, *pictured) if column)
    return _Sheet(table, y, people, images, frozenset(), skip, tuple(pictured), person is not None)


def _two_commonest(cells: Sequence[str], missing: frozenset[str]) -> np.ndarray:
    """0 and 1 for a column's two commonest words, NaN for all else; 1 is the word that says yes, or else the rarer one."""
    words = [word for word, _ in Counter(cell for cell in cells if cell not in missing).most_common(2)]
    words.sort(key=lambda word: word.lower() in YES)
    if len(words) < 2:
        return np.full(len(cells), np.nan)
    return np.array([float(words.index(cell)) if cell in words else np.nan for cell in cells])


def _cells(header: Sequence[str], lines: Sequence[tuple[int, Mapping[str, str]]]) -> dict[str, list[str]]:
    return {column: [line.get(column, "") for _, line in lines] for column in header if column}


def _files(folder: Path, named: Sequence[tuple[str, str]]) -> tuple[Path, ...]:
    """The image files that are there, each once."""
    paths = [folder / sub / name for sub, name in named if name]
    return tuple(dict.fromkeys(path for path in paths if path.is_file()))


def _columns(sheet: _Sheet, index: str | None) -> list[Finding]:
    """All checks of columns, and people who look like one."""
    table, columns = sheet.table, [column for column in sheet.table.cells if column not in sheet.skip]
    found = later(table, columns, sheet.inputs)
    if index and index in table.cells:
        found += later_dates(table, columns, index, sheet.inputs)
    words = header_words(sheet.images)
    if sheet.named:
        found += one_header_for_two(table, words, sheet.people)
    found += two_units(table, [column for column in columns if not is_source(table, column)])
    if sheet.named:
        found += same_person(table, columns, sheet.people)
    pictured = columns + [column for column in sheet.pictured if column in table.cells]
    found += duplicate_rows(table, pictured, sheet.people if sheet.named else None, sheet.y)
    known = np.isfinite(sheet.y)
    if enough(sheet.y[known]):
        at = np.flatnonzero(known).tolist()
        devices = source_columns(words, len(table.rows))
        cells = {column: [cells[one] for one in at] for column, cells in {**table.cells, **devices}.items()}
        judged = Table(table.name, cells, [table.rows[one] for one in at], table.missing)
        told = {finding.columns[0] for finding in found if finding.kind == "after_index"}
        rest = [column for column in columns if column not in told]
        y, people = sheet.y[known].astype(int), sheet.people[known]
        found += answers(judged, rest, y, people, sheet.inputs)
        found += [one for column in devices if (one := source(judged, column, y, people))]
    return found


def _images(sheet: _Sheet, tell: Report) -> list[Finding]:
    """Near-duplicates across people, and what the files themselves betray. One image is in memory at a time."""
    flat = [(at, path) for at, paths in sheet.images.items() for path in paths]
    if not flat:
        return []
    bits, detail, facts, exact = [], [], [], []
    for done, (at, path) in enumerate(flat):
        if done % 100 == 0:
            tell(done / len(flat), f"{sheet.table.name}: image {done + 1} of {len(flat)}")
        pixels, _ = picture(path, f"{sheet.table.name} row {sheet.table.rows[at]}")
        hashed, fine = fingerprint(pixels)
        bits.append(hashed)
        detail.append(fine)
        facts.append(file_facts(path, pixels))
        exact.append((pixels.shape, hashlib.sha256(pixels.tobytes()).digest()))
    found = _twins(sheet, flat, near_duplicates(Prints(np.stack(bits), np.stack(detail))), exact)
    known = np.array([at for at, (case, _) in enumerate(flat) if np.isfinite(sheet.y[case])], dtype=int)
    owner = np.array([case for case, _ in flat])[known]
    return found + betrayed(sheet.table.name, np.array(facts)[known], sheet.y[owner].astype(int), sheet.people[owner])


def _twins(sheet: _Sheet, flat: Sequence[tuple[int, Path]], pairs: Sequence[Pair], exact: Sequence[object]) -> list[Finding]:
    """Near-duplicates across people: each its own finding, many in one; and people who share several."""
    found: list[Finding] = []
    shared: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for pair in pairs:
        a, b = flat[pair.first][0], flat[pair.second][0]
        if sheet.people[a] == sheet.people[b]:
            continue
        found.append(_twin(sheet, flat[pair.first], flat[pair.second], pair.correlation, exact=exact[pair.first] == exact[pair.second]))
        one, other = sorted((str(sheet.people[a]), str(sheet.people[b])))
        shared.setdefault((one, other), []).append((a, b))
    if len(found) > MOST_PAIRS:
        rows = sorted({row for one in found for row in one.rows})
        differ = sum("outcomes differ" in one.evidence for one in found)
        sentence = (
            f"{len(found)} pairs of nearly the same image stand under different people ({differ} with different outcomes), for example: "
            f"{found[0].evidence}"
        )
        found = [Finding("near_duplicate_images", "warns", sheet.table.name, (), tuple(rows[:MOST_ROWS]), len(rows), len(sheet.images), sentence)]
    return found + sharing_images(sheet.table, shared)


def _twin(sheet: _Sheet, first: tuple[int, Path], second: tuple[int, Path], correlation: float, *, exact: bool) -> Finding:
    (a, one), (b, other) = first, second
    alike = "are pixel for pixel the same" if exact else f"are nearly the same image (their fine detail correlates at {correlation:.2f})"
    worse = ", and their outcomes differ" if {sheet.y[a], sheet.y[b]} == {0.0, 1.0} else ""
    sentence = f"{one.name} of {sheet.people[a]} and {other.name} of {sheet.people[b]} {alike}{worse}: one person under two ids, or a copied file."
    rows = (int(sheet.table.rows[a]), int(sheet.table.rows[b]))
    return Finding("near_duplicate_images", "warns", sheet.table.name, (), rows, 2, len(sheet.images), sentence)
