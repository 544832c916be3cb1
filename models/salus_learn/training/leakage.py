"""The leak hunt before each training, on the cases as they will be learnt from.

People who share a near-duplicate image are split as one, so that no fold is judged on what it was taught. Everything else
is written into the figures and the report: a training does not hide it and a person decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from salus_learn.contracts import Case, RiskTask
from salus_learn.leaks.columns import Table, answers, later, two_units
from salus_learn.leaks.finding import MOST_ROWS, Finding, to_json
from salus_learn.leaks.twins import joined_people, near_duplicates, prints_of
from salus_learn.training.material import Material


def without_leaks(material: Material, cases: Sequence[Case]) -> tuple[Material, list[dict[str, Any]]]:
    """The material with such people made one, and every finding."""
    persons, twins = _joined(material, cases)
    return replace(material, persons=persons), to_json([*_columns(material), *twins])


def _joined(material: Material, cases: Sequence[Case]) -> tuple[np.ndarray, list[Finding]]:
    """Persons with those who share an image made one, and the finding that says so."""
    flat = [(at, image) for at, case in enumerate(cases) for image in case.snapshot.images]
    if not flat:
        return material.persons, []
    owner = np.array([at for at, _ in flat])
    pairs = near_duplicates(prints_of([np.asarray(image.pixels) for _, image in flat]))
    across = [pair for pair in pairs if material.persons[owner[pair.first]] != material.persons[owner[pair.second]]]
    if not across:
        return material.persons, []
    y = material.y
    differ = sum(y[owner[pair.first]] != y[owner[pair.second]] for pair in across)
    concerned = sorted({int(owner[place]) for pair in across for place in (pair.first, pair.second)})
    said = "1 pair of nearly the same image stands" if len(across) == 1 else f"{len(across)} pairs of nearly the same image stand"
    sentence = f"{said} under different people ({differ} of them with different outcomes). For splitting they were taken as one person."
    finding = Finding("near_duplicate_images", "warns", "", (), tuple(concerned[:MOST_ROWS]), len(concerned), len(cases), sentence)
    return joined_people(material.persons, owner, across), [finding]


def _columns(material: Material) -> list[Finding]:
    """What the record's features look like alone; sites beside them."""
    table = _table(material.task, material)
    names = [spec.name for spec in material.task.features]
    y = material.target.at(material.task.outcome.horizon_days)
    known = np.flatnonzero(np.isfinite(y)).tolist()
    cells = {name: [table.cells[name][at] for at in known] for name in names}
    judged = Table(table.name, cells, known, table.missing)
    found = later(table, names, frozenset(names)) + two_units(table, names)
    return found + answers(judged, names, y[known].astype(int), material.persons[known], frozenset(names))


def _table(task: RiskTask, material: Material) -> Table:
    """Readings as text, as a table would hold them."""
    cells = {
        spec.name: ["" if row[at].value is None else str(row[at].value) for row in material.readings]
        for at, spec in enumerate(task.features)
    }
    return Table("the task's features", cells, list(range(len(material.readings))), frozenset({""}))
