"""Fits the kinds on training people with the outcome; everything that is chosen is chosen inside them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from salus_learn.features.columns import matrix
from salus_learn.features.target import Target
from salus_learn.fusion.chair import PATTERNS
from salus_learn.kinds.chair import KindChair, fit_kind_chair
from salus_learn.kinds.model import KindJudges, Kinds
from salus_learn.store.model import Margins, Model
from salus_learn.training.fit import Choices, fit_judges, out_of_fold
from salus_learn.training.material import Material

FEWEST_OF_A_KIND = 8


def fit_kinds(material: Material, model: Model, index: np.ndarray, *, seed: int) -> Kinds | None:
    """Kinds from the cases `index` that have the outcome; None where the task names no kinds.

    Also None when a kind has under 8 people there: with fewer nothing could be said, and nothing is.
    """
    names = tuple(name for name, _ in material.task.outcome.kinds)
    if not names or material.kinds is None:
        return None
    ill = index[material.kinds[index] >= 0]
    kind = material.kinds[ill]
    if any(len(np.unique(material.persons[ill[kind == at]])) < FEWEST_OF_A_KIND for at in range(len(names))):
        return None
    x = matrix(material.task, model.schema, material.readings)
    judges, inner = [], []
    for at in range(len(names)):
        found, margins = _one_kind(material, model, x, ill, at, seed)
        judges.append(found)
        inner.append(margins)
    return Kinds(names, tuple(judges), _chairs(inner, kind, seed))


def _one_kind(
    material: Material, model: Model, x: np.ndarray, ill: np.ndarray, at: int, seed: int
) -> tuple[KindJudges, Margins]:
    """The judges of one kind against the others, and their out-of-fold margins."""
    assert material.kinds is not None
    own = replace(
        material, target=Target((material.kinds == at).astype(int)),
        tuned_head=material.kind_heads[at] if material.kind_heads else None,
        image_apart=None if material.kinds_apart is None else material.kinds_apart[:, at],
    )  # fmt: skip
    fitted, choices = fit_judges(own, x, model.schema, ill, seed, Choices())
    return KindJudges(fitted.line, fitted.trees, fitted.head), out_of_fold(own, fitted, choices, x, ill, seed)


def _chairs(inner: list[Margins], kind: np.ndarray, seed: int) -> dict[str, KindChair]:
    """A chair per pattern of what is present, on those for whom all its judges speak of every kind."""
    chairs = {}
    for pattern, judges in PATTERNS.items():
        if any(judge not in margins.by_judge for judge in judges for margins in inner):
            continue
        apart = np.stack([margins.apart(judges, np.arange(len(kind))) for margins in inner], axis=1)  # (n, K, J)
        rows = np.flatnonzero(np.isfinite(apart).all(axis=(1, 2)))
        if np.bincount(kind[rows], minlength=len(inner)).min() >= 2:
            chairs[pattern] = fit_kind_chair(judges, apart[rows], kind[rows], seed=seed)
    return chairs
