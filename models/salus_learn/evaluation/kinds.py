"""Figures of the kinds: each kind against everybody else, all classes together, and who was taken for what.

P: (n, K) probabilities of the kinds; any: (n,) of any kind; kind: (n,) 0..K-1, -1 without the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.evaluation.figures import auroc_by_person
from salus_learn.evaluation.metrics import NOTHING, Figure, proportion_wilson
from salus_learn.evaluation.within import placed

_DRAWS = 400


def kinds_report(
    names: Sequence[str], probabilities: np.ndarray, any_kind: np.ndarray, kind: np.ndarray, persons: np.ndarray,
    folds: np.ndarray | None = None,
) -> dict[str, Any]:
    """Per class (no outcome first) n and AUROC against the rest; their mean with an interval over people; the share for
    whom the most likely class is the true one, over all classes and, of those with the outcome, over the kinds alone."""
    known = np.isfinite(probabilities).all(axis=1) & np.isfinite(any_kind)
    p = np.column_stack([1 - any_kind[known], probabilities[known]])  # (n, K + 1)
    true, who, folds = kind[known] + 1, persons[known], None if folds is None else folds[known]
    ill = true > 0
    guessed = p.argmax(axis=1)
    among = p[ill, 1:].argmax(axis=1) + 1
    classes = ["without", *names]
    return {
        "n": int(known.sum()),
        "classes": [
            {"name": name, "n": int((true == at).sum()), "auroc": _plain(auroc_by_person((true == at).astype(int), p[:, at], who, folds))}
            for at, name in enumerate(classes)
        ],
        "macro_auroc": _plain(_macro(p, true, who, folds)),
        "accuracy": _plain(proportion_wilson(int((guessed == true).sum()), len(true))),
        "accuracy_among_kinds": _plain(proportion_wilson(int((among == true[ill]).sum()), int(ill.sum()))),
        "taken_for": [[int(((true == row) & (guessed == column)).sum()) for column in range(len(classes))] for row in range(len(classes))],
    }  # fmt: skip


def _macro(p: np.ndarray, true: np.ndarray, persons: np.ndarray, folds: np.ndarray | None) -> Figure:
    """Mean of the one-against-rest AUROC (Hand and Till 2001 discuss it), percentile interval over people drawn again."""
    value = _mean_area(p, true, folds)
    if not np.isfinite(value):
        return NOTHING
    order = np.argsort(persons, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(persons[order])) + 1)
    rng, draws = np.random.default_rng(0), []
    for _ in range(_DRAWS):
        rows = np.concatenate([groups[at] for at in rng.integers(0, len(groups), len(groups))])
        draws.append(_mean_area(p[rows], true[rows], None if folds is None else folds[rows]))
    finite = np.array([draw for draw in draws if np.isfinite(draw)])
    if len(finite) < _DRAWS / 2:
        return NOTHING
    return value, float(np.quantile(finite, 0.025)), float(np.quantile(finite, 0.975))


def _mean_area(p: np.ndarray, true: np.ndarray, folds: np.ndarray | None) -> float:
    areas = [placed((true == at).astype(int), p[:, at], folds) for at in range(p.shape[1])]
    return float(np.mean([float("nan") if one is None else one.area for one in areas]))


def _plain(figure: Figure) -> list[float | None]:
    return [round(float(value), 6) if np.isfinite(value) else None for value in figure]


def kinds_part(found: dict[str, Any]) -> dict[str, Any]:
    """The same as a part of the model report."""
    names = [one["name"] for one in found["classes"]]
    rows: list[list[Any]] = [
        [one["name"], one["n"], _cell(one["auroc"], found["n"]), *taken]
        for one, taken in zip(found["classes"], found["taken_for"], strict=True)
    ]
    rows.append(["all classes", found["n"], _cell(found["macro_auroc"], found["n"]), *[None] * len(names)])
    share, low, high = found["accuracy"]
    note = (
        "Each class against all others. The columns “taken for” count people by the class that was most likely. "
        + (f"The most likely class was right for {share:.1%} ({low:.1%} to {high:.1%}) of {found['n']}." if share is not None else "")
    )
    return {"note": note, "columns": ["class", "n", "AUROC", *[f"taken for {name}" for name in names]], "rows": rows}


def _cell(figure: list[float | None], n: int) -> dict[str, Any] | None:
    value, low, high = figure
    return None if value is None else {"figure": "auroc", "value": value, "low": low, "high": high, "n": n}
