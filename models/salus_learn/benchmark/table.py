"""The record as a plain table, for peers: numbers as they are, categories as words, flags as a column per word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from salus_learn.benchmark.people import Asked, Taught
from salus_learn.contracts import FeatureSpec
from salus_learn.features.columns import RAREST_LEVEL_CASES, split_words
from salus_learn.features.readings import Reading

MISSING = "(not recorded)"


@dataclass(frozen=True, slots=True)
class RecordTable:
    """The columns of one task as learned on training people: `words` of each flags feature (empty for the others)."""

    words: tuple[tuple[str, ...], ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    def frame(self, asked: Asked) -> pd.DataFrame:
        """(n, d): numbers and flags float64 with NaN where nothing was recorded, categories text with a word for that."""
        columns: dict[str, object] = {}
        for at, spec in enumerate(asked.task.features):
            cells = [row[at].value for row in asked.readings]
            if spec.kind == "number":
                columns[spec.name] = np.array([np.nan if cell is None else float(cell) for cell in cells], dtype=np.float64)
            elif spec.kind == "category":
                columns[spec.name] = np.array([MISSING if cell is None else str(cell) for cell in cells], dtype=object)
            else:
                columns |= _flags(spec, cells, self.words[at])
        return pd.DataFrame(columns)

    def plain(self) -> ColumnTransformer:
        """For regressions: medians and an indicator where a number is missing, one column per word, scaled numbers."""
        numbers = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True), StandardScaler()
        )
        words = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        return ColumnTransformer([("numbers", numbers, list(self.numbers)), ("words", words, list(self.categories))])


def learn_table(taught: Taught) -> RecordTable:
    """Which columns there are. A flag's word needs two training cases, as in our own columns."""
    words: list[tuple[str, ...]] = []
    numbers: list[str] = []
    for at, spec in enumerate(taught.task.features):
        found = _words(spec, at, taught.asked.readings) if spec.kind == "flags" else ()
        words.append(found)
        numbers += [spec.name] if spec.kind == "number" else [f"{spec.name}={word}" for word in found]
    categories = tuple(spec.name for spec in taught.task.features if spec.kind == "category")
    return RecordTable(tuple(words), tuple(numbers), categories)


def _words(spec: FeatureSpec, at: int, readings: Sequence[tuple[Reading, ...]]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for row in readings:
        if row[at].value is not None:
            counts.update(set(split_words(spec, str(row[at].value))))
    return tuple(sorted(word for word, times in counts.items() if times >= RAREST_LEVEL_CASES))


def _flags(spec: FeatureSpec, cells: Sequence[float | str | None], words: tuple[str, ...]) -> dict[str, object]:
    """A column of 1.0, 0.0 or NaN for each word."""
    present = [None if cell is None else split_words(spec, str(cell)) for cell in cells]
    return {
        f"{spec.name}={word}": np.array([np.nan if had is None else float(word in had) for had in present])
        for word in words
    }
