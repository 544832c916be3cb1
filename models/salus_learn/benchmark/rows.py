"""The rows of the benchmark: every shipped task file of a case table, and the data folder it goes with."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from salus_learn.contracts import RiskTask
from salus_learn.errors import TaskError
from salus_learn.tasks.loader import load_task


@dataclass(frozen=True, slots=True)
class Row:
    """A task file and its data folder. `absent` says in a sentence why there are no data, `broken` why there is no task;
    both are empty for a row that can be run."""

    file: str
    task: RiskTask | None
    folder: Path
    absent: str = ""
    broken: str = ""


def rows_of(tasks: Path, data: Path, only: Sequence[str] = ()) -> list[Row]:
    """The rows in the order of their files' names. `only` names tasks (id) or files (with or without .toml).

    A task that is not of a case table (the simulated hospital's) is no row. Raises TaskError when a name in `only` is no
    row's, or when there is no task file at all."""
    found = [row for path in sorted(tasks.glob("*.toml")) if (row := _row(path, data)) is not None]
    if not found:
        raise TaskError(f"There is no task file of a case table in {tasks}.")
    for name in only:
        if not any(name in _names(row) for row in found):
            raise TaskError(f"“{name}” is no task. Known are {', '.join(row.file for row in found)}.")
    return [row for row in found if not only or _names(row) & set(only)]


def _names(row: Row) -> set[str]:
    return {row.file, Path(row.file).stem, *([row.task.id] if row.task else [])}


def _row(path: Path, data: Path) -> Row | None:
    try:
        task = load_task(path)
    except TaskError as error:
        return Row(path.name, None, data / path.stem, broken=str(error))
    if not task.table:
        return None
    folder = data / data_name(task, path.stem)
    absent = ""
    if not folder.is_dir():
        absent = f"The folder {folder.name} is not in {data}."
    elif not (folder / task.table).is_file():
        absent = f"The folder {folder.name} holds no {task.table}."
    return Row(path.name, task, folder, absent=absent)


def data_name(task: RiskTask, stem: str) -> str:
    """The name of a task's data folder: what the task file says ([task] data), else the file's own name."""
    return str(tomllib.loads(task.source_text)["task"].get("data", stem))


def fingerprint(task: RiskTask, folder: Path) -> str:
    """sha256 over the case table's bytes and the names and sizes of the files in the task's image folders.

    Pixels are not read: an image changed without a change of its size goes unseen."""
    found = hashlib.sha256((folder / str(task.table)).read_bytes())
    places = sorted({place for spec in task.images for place in (spec.folder, spec.region_folder or spec.folder)})
    for place in places:
        for path in sorted((folder / place).rglob("*")):
            if path.is_file():
                found.update(f"\n{path.relative_to(folder)} {path.stat().st_size}".encode())
    return found.hexdigest()
