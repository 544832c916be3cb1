"""Finds the files that a task file and the cells of its table name, and says in words what is not there."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from salus_learn.contracts import RiskTask
from salus_learn.errors import CaseError

_SHOWN = 60


def table_file(task: RiskTask, folder: Path) -> Path:
    """Where the task's table lies, which must be in the case folder. Whether it is there is seen when it is read."""
    if not task.table:
        raise CaseError(f"The task {task.id} names no case table ([cases] table = …).")
    if not (folder / task.table).resolve().is_relative_to(folder.resolve()):
        raise CaseError(f"The case table {task.table} lies outside the case folder.")
    return folder / task.table


def named_file(folder: Path, sub: str, name: str, where: str, column: str) -> Path:
    """The file a cell names, which must lie in the case folder. Raises CaseError."""
    place = f"{where}, column {column}"
    # ü may be written as one letter or as u and two dots: a Mac copies names in the other form than tables are typed in
    forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    try:
        for one in dict.fromkeys(forms):
            path = (folder / sub / one).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise CaseError(f"{place}: {name[:_SHOWN]} lies outside the case folder.")
            if path.is_file():
                return path
    except (OSError, ValueError):
        raise CaseError(f"{place}: “{name[:_SHOWN]}” ({len(name):,} letters) cannot be the name of a file.") from None
    raise CaseError(f"{place}: {_not_there(folder, sub, name)}")


def _not_there(folder: Path, sub: str, name: str) -> str:
    """Which of folder and file is missing, and what may be meant."""
    within = sub or folder.name
    if not (folder / sub).is_dir():
        return f"there is no folder {within}, where the image file {name[:_SHOWN]} should be."
    said = f"the image file {name[:_SHOWN]} is not in {within}/."
    wanted = (folder / sub / name).resolve()
    if wanted.is_dir() or not wanted.parent.is_dir():
        return said
    others = sorted(one.name for one in wanted.parent.iterdir())
    near = [one for one in others if one.casefold() == wanted.name.casefold()] or [one for one in others if Path(one).stem == wanted.name]
    return f"{said} There is {near[0]}; names must agree in every letter, also in capitals." if near else said
