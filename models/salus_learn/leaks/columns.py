"""Suspicious columns of a table: the answer in disguise, a source that predicts it, two units in one, known only later."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.evaluation.metrics import Figure, auroc_delong
from salus_learn.leaks.finding import MOST_ROWS, Finding

ANSWER = 0.95
SOURCE = 0.60
FEWEST = 30
MOST_WORDS = 60

# name parts that tell where, with what or how a record came about
SOURCE_WORDS = frozenset(
    ["site", "source", "hospital", "centre", "center", "clinic", "ward", "device", "scanner", "vendor", "manufacturer", "machine", "view", "projection", "position", "folder", "url", "doi", "license", "licence", "repo", "repository", "hannover", "location", "modality", "protocol", "batch", "collection", "dataset", "origin", "orig", "split", "md5", "hash"]
)
# name parts of what is only known after the moment of prediction, with the reason
LATER = {
    "length of stay is known at discharge": "los slos stay lengthofstay",
    "it belongs to the discharge": "discharge discharged disposition dnr dnrday",
    "it is the end itself": "death died dead dod deceased survival survived mortality fate autopsy",
    "follow-up comes after": "followup fu futime lenfol survtime survival_in_days sfdm2 sfdm reltime",
    "costs are known at the end": "charges cost costs totcst totmcst",
    "it is a forecast made for the same outcome": "surv2m surv6m prg2m prg6m",
    "it is measured over days after the start": "avtisst",
    "it is the time to the outcome": "d_time time_to_event timetoevent ftime",
    "treatment follows the decision": "extubated extubation",
}
_LATER = {word: reason for reason, words in LATER.items() for word in words.split()}
# what a quantity can be in its usual unit: (low, high, unit, the other unit it is mixed with)
RANGES = {
    "saturation": (0, 100, "%", "mmHg"), "spo2": (0, 100, "%", "mmHg"), "sao2": (0, 100, "%", "mmHg"), "percent": (0, 100, "%", "another unit"),
    "perc": (0, 100, "%", "another unit"), "temperature": (25, 45, "°C", "°F"), "temp": (25, 45, "°C", "°F"), "hba1c": (3, 20, "%", "mmol/mol"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name, its cells by column (text, stripped) and the row numbers (header = 1)."""

    name: str
    cells: Mapping[str, Sequence[str]]
    rows: Sequence[int]
    missing: frozenset[str]

    def numbers(self, column: str) -> np.ndarray | None:
        """(n,) floats with NaN for missing, or None when fewer than 95 % of what is filled are numbers."""
        filled, out = 0, np.full(len(self.rows), np.nan)
        for at, cell in enumerate(self.cells[column]):
            if cell in self.missing:
                continue
            filled += 1
            try:
                out[at] = float(cell)
            except ValueError:
                continue
        return out if filled and np.isfinite(out).sum() >= 0.95 * filled else None

    def filled(self, column: str) -> np.ndarray:
        """(n,) whether a cell holds anything."""
        return np.array([cell not in self.missing for cell in self.cells[column]])


def parts(column: str) -> set[str]:
    """The parts of a column's name in small letters, with the whole name."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", column)
    return {part for part in re.split(r"[^a-z0-9]+", spaced.lower()) if part} | {re.sub(r"[^a-z0-9]+", "_", column.lower()).strip("_")}


def alone(table: Table, column: str, y: np.ndarray, people: np.ndarray) -> Figure | None:
    """AUROC of one column alone, on people it was not fitted on; None where it has too little to say. Numbers by rank,
    either way round; words by the share with the outcome among other people."""
    numbers = table.numbers(column)
    if numbers is not None and len(np.unique(numbers[np.isfinite(numbers)])) > 2:
        known = np.isfinite(numbers)
        if known.sum() < FEWEST or len(np.unique(y[known])) < 2:
            return None
        value = auroc_delong(y[known], numbers[known])
        return value if value[0] >= 0.5 else auroc_delong(y[known], -numbers[known])
    known = table.filled(column)
    words = [cell for cell, there in zip(table.cells[column], known, strict=True) if there]
    if known.sum() < FEWEST or len(np.unique(y[known])) < 2 or not 2 <= len(set(words)) <= MOST_WORDS:
        return None
    return by_words(words, y[known], people[known])


def by_words(words: Sequence[str], y: np.ndarray, people: np.ndarray) -> Figure | None:
    """AUROC of a word's smoothed share of outcomes among other people."""
    folds = int(min(5, np.bincount(y.astype(int), minlength=2).min()))
    if folds < 2:
        return None
    share, labels = np.full(len(y), y.mean()), np.array(words)
    for train, test in StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, y, people):
        prior = float(y[train].mean())
        seen, hits = Counter(labels[train].tolist()), Counter(labels[train][y[train] == 1].tolist())
        share[test] = [(hits[word] + 2 * prior) / (seen[word] + 2) for word in labels[test].tolist()]
    return auroc_delong(y, share)


def answers(table: Table, columns: Sequence[str], y: np.ndarray, people: np.ndarray, inputs: frozenset[str]) -> list[Finding]:
    """Columns that alone, or by being empty, nearly give the outcome; and sources that predict it."""
    found = []
    for column in columns:
        figure = alone(table, column, y, people)
        severity = "blocks" if column in inputs else "warns"
        if figure is not None and figure[0] >= ANSWER:
            found.append(_one("answer_column", severity, table, column, len(y), figure,
                f"{column} alone tells the outcome (AUROC {_said(figure)}). Put it under never unless it is truly known before."))  # fmt: skip
        elif figure is not None and figure[0] >= SOURCE and figure[1] > 0.5 and parts(column) & SOURCE_WORDS:
            found.append(_one("source_predicts_outcome", "warns", table, column, len(y), figure,
                f"Where the case comes from ({column}) predicts the outcome (AUROC {_said(figure)}): a model can learn the source instead of the patient."))  # fmt: skip
        there = table.filled(column)
        if there.any() and not there.all():
            empty = by_words([str(one) for one in there], y, people)
            if empty is not None and empty[0] >= 0.9:
                found.append(_one("answer_column", severity, table, column, len(y), empty,
                    f"Whether {column} is filled tells the outcome (AUROC {_said(empty)}): it is recorded because of it."))  # fmt: skip
    return found


def later(table: Table, columns: Sequence[str], inputs: frozenset[str]) -> list[Finding]:
    """Columns whose names say that they are known only after the moment of prediction."""
    found = []
    for column in columns:
        reason = next((_LATER[part] for part in sorted(parts(column)) if part in _LATER), "")
        if reason:
            severity = "blocks" if column in inputs else "warns"
            sentence = f"{column} is known only later: {reason}. It belongs under never."
            found.append(Finding("after_index", severity, table.name, (column,), (), len(table.rows), len(table.rows), sentence))
    return found


def two_units(table: Table, columns: Sequence[str]) -> list[Finding]:
    """Number columns in which some values cannot be in the unit of the others."""
    found = []
    for column in columns:
        numbers = table.numbers(column)
        usual = next((RANGES[part] for part in sorted(parts(column)) if part in RANGES), None)
        if numbers is None or usual is None or np.isfinite(numbers).sum() < 10:
            continue
        low, high, unit, other = usual
        known = np.isfinite(numbers)
        odd = known & ((numbers < low) | (numbers > high))
        if 0 < odd.sum() < 0.5 * known.sum():
            rows = tuple(int(table.rows[at]) for at in np.flatnonzero(odd)[:MOST_ROWS])
            sentence = (
                f"{column} holds {int(odd.sum())} of {int(known.sum())} values that cannot be in {unit} "
                f"(up to {numbers[odd].max():g}): most likely some are in {other}."
            )
            found.append(Finding("two_units", "warns", table.name, (column,), rows, int(odd.sum()), int(known.sum()), sentence))
    return found


def _one(kind: str, severity: str, table: Table, column: str, n: int, figure: Figure, sentence: str) -> Finding:
    return Finding(kind, severity, table.name, (column,), (), n, n, sentence, figure)


def _said(figure: Figure) -> str:
    return f"{figure[0]:.2f}, 95 % interval {figure[1]:.2f} to {figure[2]:.2f}"
