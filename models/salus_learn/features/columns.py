"""Readings become a matrix of named columns, and columns are traced back to their feature."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import FeatureSpec, PatientSnapshot, RiskTask
from salus_learn.features.readings import Reading, read_features

RAREST_LEVEL_CASES = 2
TAUGHT_BY, TAUGHT_BY_SHARE = 10, 0.05  # a gap that fewer people had, and a smaller share of them, teaches nothing


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """The columns of one task as learned on training people: `levels` per feature (empty for numbers)."""

    names: tuple[str, ...]
    levels: tuple[tuple[str, ...], ...]
    owner: tuple[int, ...]

    @property
    def width(self) -> int:
        """How many columns."""
        return len(self.names)

    def to_json(self) -> dict[str, list[list[str]]]:
        """What a bundle keeps; the names follow from it and the task."""
        return {"levels": [list(words) for words in self.levels]}


def split_words(spec: FeatureSpec, text: str) -> tuple[str, ...]:
    """The words of a category (one) or of flags (several)."""
    if spec.kind == "category":
        return (text,)
    return tuple(part.strip() for part in text.split(spec.separator or "&") if part.strip())


def schema_from_levels(task: RiskTask, levels: Sequence[Sequence[str]]) -> FeatureSchema:
    """Name the columns that follow from a task and the levels of its features."""
    names: list[str] = []
    owner: list[int] = []
    for position, (spec, words) in enumerate(zip(task.features, levels, strict=True)):
        for column in [spec.name] if spec.kind == "number" else [f"{spec.name}={word}" for word in words]:
            names.append(column)
            owner.append(position)
    return FeatureSchema(tuple(names), tuple(tuple(words) for words in levels), tuple(owner))


def fit_schema(task: RiskTask, readings: Sequence[Sequence[Reading]]) -> FeatureSchema:
    """Learn the levels seen among training people; those in fewer than two cases are left out."""
    levels: list[tuple[str, ...]] = []
    for position, spec in enumerate(task.features):
        if spec.kind == "number":
            levels.append(())
            continue
        counts: Counter[str] = Counter()
        for row in readings:
            if isinstance(row[position].value, str):
                counts.update(set(split_words(spec, str(row[position].value))))
        levels.append(tuple(sorted(word for word, times in counts.items() if times >= RAREST_LEVEL_CASES)))
    return schema_from_levels(task, levels)


def read_all(task: RiskTask, snapshots: Sequence[PatientSnapshot]) -> list[tuple[Reading, ...]]:
    """Readings of many snapshots."""
    return [read_features(task, snapshot) for snapshot in snapshots]


def matrix(task: RiskTask, schema: FeatureSchema, readings: Sequence[Sequence[Reading]]) -> np.ndarray:
    """Columns as float64 (n, width), NaN where nothing was recorded. A level not seen in training is 0 in all its columns."""
    body = np.full((len(readings), schema.width), np.nan)
    at = 0
    for position, (spec, words) in enumerate(zip(task.features, schema.levels, strict=True)):
        if spec.kind == "number":
            body[:, at] = [np.nan if row[position].value is None else float(row[position].value or 0.0) for row in readings]
            at += 1
            continue
        for case, row in enumerate(readings):
            if row[position].value is not None:
                present = split_words(spec, str(row[position].value))
                body[case, at : at + len(words)] = [float(word in present) for word in words]
        at += len(words)
    return body  # (n, width)


def gaps(task: RiskTask, schema: FeatureSchema, x: np.ndarray) -> np.ndarray:
    """(n, features) where nothing that the model knows was recorded: x (n, d) is empty in all columns of the feature, or it is a
    category in a word of none of them. A feature without columns has no gaps."""
    owner = np.array(schema.owner, dtype=int)
    found = np.zeros((len(x), len(task.features)), dtype=bool)
    for position, spec in enumerate(task.features):
        columns = x[:, owner == position]
        if columns.shape[1]:
            found[:, position] = np.isnan(columns).all(axis=1) | (spec.kind == "category") & (columns == 0).all(axis=1)
    return found


def always_there(task: RiskTask, schema: FeatureSchema, x: np.ndarray, persons: np.ndarray) -> tuple[str, ...]:
    """The features that next to nobody lacked of the training people; x (n, d), the schema's columns of their cases; persons (n,).
    Whoever lacked it in one case or in all is one person who did.

    What is counted is never missing: not recorded reads as none.
    """
    lacked, people = _people_with(gaps(task, schema, x), persons), len(np.unique(persons))
    has_columns = np.isin(np.arange(len(task.features)), schema.owner)
    return tuple(
        spec.name for spec, missing, told in zip(task.features, lacked, has_columns, strict=True)
        if told and spec.aggregation != "count" and missing < _few(people)
    )  # fmt: skip


def slots_always_there(task: RiskTask, slots: np.ndarray | None, persons: np.ndarray) -> tuple[str, ...]:
    """Of several image slots those that next to nobody lacked who had an image; slots (n, S) of the training cases, NaN where missing;
    persons (n,)."""
    if slots is None:
        return ()
    shown = np.isfinite(slots).any(axis=1)
    lacked, people = _people_with(~np.isfinite(slots[shown]), persons[shown]), len(np.unique(persons[shown]))
    return tuple(spec.name for at, spec in enumerate(task.images) if lacked[at] < _few(people))


def _people_with(marked: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """How many people have a mark in any case, by column; marked (n, c), persons (n,)."""
    return np.array([len(np.unique(persons[column])) for column in marked.T])


def _few(people: int) -> float:
    """Fewer gaps than this among so many people teach nothing."""
    return min(TAUGHT_BY, TAUGHT_BY_SHARE * people)
