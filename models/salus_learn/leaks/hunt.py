"""The hunt over a folder of cases: by its task file, or table by table where there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from salus_learn.contracts import RiskTask
from salus_learn.errors import CaseError
from salus_learn.evaluation.metrics import auroc_delong
from salus_learn.leaks.columns import FEWEST, Table, answers, later, two_units
from salus_learn.leaks.finding import MOST_ROWS, Finding
from salus_learn.leaks.twins import near_duplicates, prints_of
from salus_learn.tasks.cases import read_table
from salus_learn.tasks.pictures import picture

PERSON_COLUMNS = ("patient", "patientid", "patient_id", "person", "group", "cluster", "subject", "subject_id", "lesion_id", "id")
FILE_SOURCE = 0.65
PICTURES = (".jpg", ".jpeg", ".png")
Report = Callable[[float, str], None]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """One table ready for the hunt: y (n,) of 0, 1 and NaN, people (n,) text, image files by row, inputs of the task."""

    table: Table
    y: np.ndarray
    people: np.ndarray
    images: Mapping[int, tuple[Path, ...]]
    inputs: frozenset[str]
    skip: frozenset[str]


def hunt(folder: Path, task: RiskTask | None = None, *, label: str | None = None, report: Report | None = None) -> list[Finding]:
    """Every finding, the blocking ones first.

    With a task its table, rows and inputs are examined; without one every CSV table of the folder, with the outcome in
    the column `label` (its two commonest words) where it has one. Raises CaseError when there is nothing to examine.
    """
    folder, tell = Path(folder), report or (lambda part, text: None)
    sheets = [_of_task(folder, task)] if task else [_of_table(folder, path, label) for path in sorted(folder.glob("*.csv"))]
    if not sheets:
        raise CaseError(f"{folder.name} holds no CSV table.")
    found: list[Finding] = []
    for at, sheet in enumerate(sheets):
        tell(at / len(sheets), f"{sheet.table.name}: columns")
        found += _columns(sheet)
        tell((at + 0.3) / len(sheets), f"{sheet.table.name}: images")
        found += _images(sheet)
    return sorted(found, key=lambda one: (one.severity != "blocks", one.kind))


def _of_task(folder: Path, task: RiskTask) -> _Sheet:
    """The task's own table, its rows, persons and inputs."""
    if not task.table:
        raise CaseError(f"The task {task.id} names no case table.")
    header, lines = read_table(folder / task.table)
    lines = [(number, line) for number, line in lines if all(line.get(column, "") in words for column, words in task.only)]
    table = Table(task.table, _cells(header, lines), [number for number, _ in lines], frozenset(task.missing_words) | {""})
    y = np.array([_outcome(task, line) for _, line in lines])
    named = [line.get(task.patient_column or "", "") or str(number) for number, line in lines]
    people = np.array([next((group[0] for group in task.same_person if one in group), one) for one in named])
    images = {at: _files(folder, [(spec.folder, line.get(spec.column or "", "")) for spec in task.images]) for at, (_, line) in enumerate(lines)}
    inputs = frozenset(spec.column for spec in task.features if spec.column)
    known = {task.patient_column, task.case_column, task.outcome.column, task.outcome.time_column}
    pictured = {column for spec in task.images for column in (spec.column, spec.region_column)}
    skip = frozenset(column for column in known | pictured if column) | frozenset(task.never)
    return _Sheet(table, y, people, images, inputs, skip)


def _outcome(task: RiskTask, line: Mapping[str, str]) -> float:
    word = line.get(task.outcome.column or "", "")
    if word in task.missing_words or not word:
        return float("nan")
    if word in task.outcome.positive:
        return 1.0
    return 0.0 if not task.outcome.negative or word in task.outcome.negative else float("nan")


def _of_table(folder: Path, path: Path, label: str | None) -> _Sheet:
    """A table without a task: persons and images are guessed from names."""
    header, lines = read_table(path)
    table = Table(path.name, _cells(header, lines), [number for number, _ in lines], frozenset({"", "NA", "?", "nan"}))
    person = next((column for wanted in PERSON_COLUMNS for column in header if column.lower() == wanted), None)
    people = np.array([line.get(person or "", "") or str(number) for number, line in lines])
    pictured = [column for column in header if table.cells[column][0].lower().endswith(PICTURES)]
    images = {at: _files(folder, [(sub, line[column]) for column in pictured for sub in ("", "images")]) for at, (_, line) in enumerate(lines)}
    y = _two_commonest(table.cells[label], table.missing) if label and label in table.cells else np.full(len(lines), np.nan)
    skip = frozenset(column for column in (label, person, *pictured) if column)
    return _Sheet(table, y, people, images, frozenset(), skip)


def _two_commonest(cells: Sequence[str], missing: frozenset[str]) -> np.ndarray:
    """0 and 1 for a column's two commonest words, NaN for all else; which is which does not matter to the hunt."""
    words = [word for word, _ in Counter(cell for cell in cells if cell not in missing).most_common(2)]
    if len(words) < 2:
        return np.full(len(cells), np.nan)
    return np.array([float(words.index(cell)) if cell in words else np.nan for cell in cells])


def _cells(header: Sequence[str], lines: Sequence[tuple[int, Mapping[str, str]]]) -> dict[str, list[str]]:
    return {column: [line.get(column, "") for _, line in lines] for column in header if column}


def _files(folder: Path, named: Sequence[tuple[str, str]]) -> tuple[Path, ...]:
    """The image files that are there, each once."""
    paths = [folder / sub / name for sub, name in named if name]
    return tuple(dict.fromkeys(path for path in paths if path.is_file()))


def _columns(sheet: _Sheet) -> list[Finding]:
    """All checks of columns, and people who look like one."""
    columns = [column for column in sheet.table.cells if column not in sheet.skip]
    found = later(sheet.table, columns, sheet.inputs) + two_units(sheet.table, columns) + _same_rows(sheet, columns)
    known = np.isfinite(sheet.y)
    if known.sum() >= FEWEST and len(np.unique(sheet.y[known])) == 2:
        at = np.flatnonzero(known).tolist()
        cells = {column: [cells[one] for one in at] for column, cells in sheet.table.cells.items()}
        judged = Table(sheet.table.name, cells, [sheet.table.rows[one] for one in at], sheet.table.missing)
        told = {column for finding in found for column in finding.columns if finding.kind == "after_index"}
        rest = [column for column in columns if column not in told]
        found += answers(judged, rest, sheet.y[known].astype(int), sheet.people[known], sheet.inputs)
    return found


def _same_rows(sheet: _Sheet, columns: Sequence[str]) -> list[Finding]:
    """Rows of different people that agree in everything recorded, where at least five numbers with many values are."""
    telling = [column for column in columns if (numbers := sheet.table.numbers(column)) is not None and len(np.unique(numbers[np.isfinite(numbers)])) >= 20]
    if len(telling) < 3:
        return []
    seen: dict[tuple[str, ...], list[int]] = {}
    for at in range(len(sheet.table.rows)):
        key = tuple(sheet.table.cells[column][at] for column in telling)
        if sum(cell not in sheet.table.missing for cell in key) >= 5:
            seen.setdefault(key, []).append(at)
    groups = [group for group in seen.values() if len({sheet.people[at] for at in group}) > 1]
    if not groups:
        return []
    rows = [int(sheet.table.rows[at]) for group in groups for at in group]
    sentence = f"{len(rows)} rows under different people agree in all of {len(telling)} numbers: most likely the same person twice."
    return [Finding("same_person_two_ids", "warns", sheet.table.name, tuple(telling[:8]), tuple(rows[:MOST_ROWS]), len(rows), len(sheet.table.rows), sentence)]


def _images(sheet: _Sheet) -> list[Finding]:
    """Near-duplicates across people, and what the files themselves betray."""
    flat = [(at, path) for at, paths in sheet.images.items() for path in paths]
    if not flat:
        return []
    owner = np.array([at for at, _ in flat])
    pixels = [picture(path, sheet.table.name)[0] for _, path in flat]
    found = []
    for pair in near_duplicates(prints_of(pixels)):
        a, b = owner[pair.first], owner[pair.second]
        if sheet.people[a] != sheet.people[b]:
            found.append(_twin(sheet, flat[pair.first], flat[pair.second], pair.correlation, exact=bool(np.array_equal(pixels[pair.first], pixels[pair.second]))))
    return found + _betrayed(sheet, flat, pixels)


def _twin(sheet: _Sheet, first: tuple[int, Path], second: tuple[int, Path], correlation: float, *, exact: bool) -> Finding:
    (a, one), (b, other) = first, second
    alike = "are pixel for pixel the same" if exact else f"are nearly the same image (their fine detail correlates at {correlation:.2f})"
    worse = ", and their outcomes differ" if {sheet.y[a], sheet.y[b]} == {0.0, 1.0} else ""
    sentence = f"{one.name} of {sheet.people[a]} and {other.name} of {sheet.people[b]} {alike}{worse}: one person under two ids, or a copied file."
    rows = (int(sheet.table.rows[a]), int(sheet.table.rows[b]))
    return Finding("near_duplicate_images", "warns", sheet.table.name, (), rows, 2, len(sheet.images), sentence)


def _betrayed(sheet: _Sheet, flat: Sequence[tuple[int, Path]], pixels: Sequence[np.ndarray]) -> list[Finding]:
    """Whether size, shape, borders and colour of the files alone predict the outcome."""
    at = np.array([place for place, (case, _) in enumerate(flat) if np.isfinite(sheet.y[case])], dtype=int)
    if len(at) < FEWEST:
        return []
    y = np.array([int(sheet.y[flat[place][0]]) for place in at])
    people = np.array([sheet.people[flat[place][0]] for place in at])
    folds = int(min(5, np.bincount(y, minlength=2).min()))
    if folds < 2:
        return []
    design = np.array([_file_facts(flat[place][1], pixels[place]) for place in at])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(design, y, people)
    figure = auroc_delong(y, cross_val_predict(model, design, y, cv=list(split), method="predict_proba")[:, 1])
    if figure[0] < FILE_SOURCE or figure[1] <= 0.55:
        return []
    sentence = (
        f"The files alone (size, shape, borders, colour) predict the outcome (AUROC {figure[0]:.2f}, 95 % interval "
        f"{figure[1]:.2f} to {figure[2]:.2f}): images of the two groups may come from different sources."
    )
    return [Finding("source_predicts_outcome", "warns", sheet.table.name, ("image file",), (), len(y), len(y), sentence, figure)]


def _file_facts(path: Path, pixels: np.ndarray) -> list[float]:
    """Height, width, shape, brightness and evenness of the border, colour or grey: nothing of what is pictured."""
    height, width = pixels.shape[:2]
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    border = np.concatenate([grey[:4].ravel(), grey[-4:].ravel(), grey[:, :4].ravel(), grey[:, -4:].ravel()])
    with Image.open(path) as image:
        grey_file = float(image.mode in {"L", "I", "I;16"})
    return [np.log(height), np.log(width), width / height, border.mean(), border.std(), grey_file]

