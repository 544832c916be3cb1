"""Suspicious columns of a table: the answer in disguise, and what is known only later."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from salus_learn.evaluation.metrics import Figure
from salus_learn.leaks.alone import alone, by_words
from salus_learn.leaks.finding import MOST_ROWS, Finding
from salus_learn.leaks.sources import is_source, source
from salus_learn.leaks.table import Table, parts, whole_name
from salus_learn.leaks.units import two_units

__all__ = ["Table", "answers", "later", "later_dates", "two_units"]

ANSWER = 0.95
FILLED = 0.9
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
    "complications come after": "complication complications",
    "it happens after the stay": "readmitted readmission",
}
_LATER = {word: reason for reason, words in LATER.items() for word in words.split()}
# names that say so only when they are the whole name: “time” alone is a time to something, “time of day” is not
_LATER_WHOLE = {"time": "a column called time is nearly always the time to the outcome or to the last visit"}
_LATER_ROWS, _LATER_SHARE = 2, 0.01


def answers(table: Table, columns: Sequence[str], y: np.ndarray, people: np.ndarray, inputs: frozenset[str]) -> list[Finding]:
    """Columns that alone, or by being empty, nearly give the outcome; and sources that predict it.

    y (n,) of 0 and 1, people (n,); inputs are the columns the task uses, for which the answer blocks.
    """
    found = []
    for column in columns:
        severity = "blocks" if column in inputs else "warns"
        figure = alone(table, column, y, people)
        if figure is not None and figure[0] >= ANSWER:
            found.append(_one("answer_column", severity, table, column, len(y), figure,
                f"{column} alone tells the outcome (AUROC {_said(figure)}). Put it under never unless it is truly known before."))  # fmt: skip
        elif is_source(table, column) and (told := source(table, column, y, people)):
            found.append(told)
        there = table.filled(column)
        empty = by_words([str(one) for one in there], y, people) if there.any() and not there.all() else None
        if empty is not None and empty[0] >= FILLED:
            found.append(_one("answer_column", severity, table, column, len(y), empty,
                f"Whether {column} is filled tells the outcome (AUROC {_said(empty)}): it is recorded because of it."))  # fmt: skip
    return found


def later(table: Table, columns: Sequence[str], inputs: frozenset[str]) -> list[Finding]:
    """Columns whose names say that they are known only after the moment of prediction."""
    found = []
    for column in columns:
        reason = next((_LATER[part] for part in sorted(parts(column)) if part in _LATER), "") or _LATER_WHOLE.get(whole_name(column), "")
        if reason:
            severity = "blocks" if column in inputs else "warns"
            sentence = f"{column} is known only later: {reason}. It belongs under never."
            found.append(Finding("after_index", severity, table.name, (column,), (), len(table.rows), len(table.rows), sentence))
    return found


def later_dates(table: Table, columns: Sequence[str], index: str, inputs: frozenset[str]) -> list[Finding]:
    """Date columns that are later than the index column in more than a stray row."""
    moment, found = table.days(index), []
    for column in columns if moment is not None else []:
        days = table.days(column) if column != index else None
        if days is None or moment is None:
            continue
        both = np.isfinite(days) & np.isfinite(moment)
        after = both & (np.nan_to_num(days) > np.nan_to_num(moment))
        if after.sum() >= max(_LATER_ROWS, _LATER_SHARE * both.sum()):
            rows = tuple(int(table.rows[at]) for at in np.flatnonzero(after)[:MOST_ROWS])
            sentence = f"{column} is later than {index} in {int(after.sum())} of {int(both.sum())} rows: it is known only after the moment of prediction. It belongs under never."
            severity = "blocks" if column in inputs else "warns"
            found.append(Finding("after_index", severity, table.name, (column, index), rows, int(after.sum()), int(both.sum()), sentence))
    return found


def _one(kind: str, severity: str, table: Table, column: str, n: int, figure: Figure, sentence: str) -> Finding:
    return Finding(kind, severity, table.name, (column,), (), n, n, sentence, figure)


def _said(figure: Figure) -> str:
    return f"{figure[0]:.2f}, 95 % interval {figure[1]:.2f} to {figure[2]:.2f}"
