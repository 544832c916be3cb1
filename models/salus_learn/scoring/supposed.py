"""Risks as they would be, were other people's values in the place of what one patient lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import RiskResult
from salus_learn.explain.points import risk_of
from salus_learn.store.model import Model, pattern_of

LIKE_THIS_ONE = 30
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Supposed:
    """One patient k times: rows (k, d) of the schema's columns and image margins (k,) over the reference, NaN without one."""

    rows: np.ndarray
    images: np.ndarray


@dataclass(frozen=True, slots=True)
class SupposedRisks:
    """Of each of k suppositions the risk (k,) and its 90 % interval (k, 2), all in [0, 1]."""

    risks: np.ndarray
    intervals: np.ndarray


def own_image(model: Model, result: RiskResult) -> float:
    """The case's image margin over its reference, NaN without an image."""
    if model.head is None or "image" not in result.arm_margins:
        return float("nan")
    return result.arm_margins["image"] - model.head.reference


def with_their_values(
    model: Model, row: np.ndarray, image: float, columns: np.ndarray, slots: Sequence[int] = ()
) -> Supposed | None:
    """The row (d,) and image margin once for each of the thirty most like training people who have all these `columns` and image
    `slots`, with their values there. None where fewer than ten have them, or the model does not keep them."""
    pool = model.pool
    if pool is None or slots and pool.slots is None:
        return None
    there = np.isfinite(pool.x[:, columns]).all(axis=1)
    theirs = np.zeros(len(pool.x)) if pool.slots is None else pool.slots[:, list(slots)].sum(axis=1)  # NaN where one is missing
    like = pool.like(row, np.flatnonzero(there & np.isfinite(theirs)), LIKE_THIS_ONE)
    if len(like) < FEWEST:
        return None
    rows = np.tile(row, (len(like), 1))
    rows[:, columns] = pool.x[np.ix_(like, columns)]
    return Supposed(rows, image + theirs[like])


def risks_of_all(model: Model, supposed: Sequence[Supposed]) -> list[SupposedRisks | None]:
    """The risks of many patients' suppositions in one go; None where the model has no chair for what would then be there."""
    if not supposed:
        return []
    margins = _record_margins(model, np.concatenate([one.rows for one in supposed]))
    found, start = [], 0
    for one in supposed:
        stop = start + len(one.rows)
        found.append(_risks(model, one, {judge: values[start:stop] for judge, values in margins.items()}))
        start = stop
    return found


def _record_margins(model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Margins over reference of the record's judges, all rows at once."""
    margins = {}
    if model.line is not None:
        margins["line"] = model.line.margins(rows) - model.line.reference
    if model.trees is not None:
        margins["trees"] = model.trees.quick_margins(rows) - model.trees.reference
    return margins


def _risks(model: Model, supposed: Supposed, record: dict[str, np.ndarray]) -> SupposedRisks | None:
    pattern = pattern_of(supposed.rows[0], bool(np.isfinite(supposed.images[0])), model)
    if pattern is None:
        return None
    chair, doubt = model.chairs[pattern], model.doubts[pattern]
    by_judge = record | {"image": supposed.images}
    margins = chair.margins(np.column_stack([by_judge[judge] for judge in chair.judges]))
    risks = [risk_of(float(margin), chair.link) for margin in margins]
    intervals = [doubt.interval(float(margin), risk) for margin, risk in zip(margins, risks, strict=True)]
    return SupposedRisks(np.array(risks), np.array(intervals))
