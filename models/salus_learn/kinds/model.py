"""The kinds of one model: their names, each kind's judges and the chairs over them. Files are written in files.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from salus_learn.imaging.embed import Prepared
from salus_learn.imaging.head import ImageHead
from salus_learn.kinds.chair import KindChair
from salus_learn.tabular.line import Line
from salus_learn.tabular.trees import Trees


@dataclass(frozen=True, slots=True)
class KindJudges:
    """The judges of one kind against the others; None where the task has no such input."""

    line: Line | None
    trees: Trees | None
    head: ImageHead | None


@dataclass(frozen=True, slots=True)
class Kinds:
    """`names` (K) as the task file gives them, judges of each, chairs by pattern of what is present."""

    names: tuple[str, ...]
    judges: tuple[KindJudges, ...]
    chairs: dict[str, KindChair]


def record_terms(judges: KindJudges, x: np.ndarray) -> dict[str, np.ndarray]:
    """Terms (n, d) of the record's judges over their references, by judge; x (n, d)."""
    found = {}
    if judges.line is not None:
        found["line"] = judges.line.terms(x)
    if judges.trees is not None:
        found["trees"] = judges.trees.contributions(x)[:, :-1]
    return found


def image_apart(judges: KindJudges, prepared: Prepared | None, index: np.ndarray) -> np.ndarray:
    """The image judge's margin over its reference (k,) for the cases `index`; NaN where it has nothing to say."""
    if judges.head is None or prepared is None:
        return np.full(len(index), np.nan)
    return judges.head.margins(prepared, index) - judges.head.reference
