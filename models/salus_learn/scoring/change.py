"""What would change my mind: what each missing input would do to one patient's risk, judged from patients like this one.

For every input that is missing, the values it had in the thirty most similar training people are put in its place, one
after the other. How often the risk would cross the threshold, and how much narrower its interval would be, is the answer.
It says what knowing would do to the model, not what treating would do to the patient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import Part, RiskResult, WouldChange
from salus_learn.explain.points import risk_of
from salus_learn.features.columns import matrix
from salus_learn.features.readings import Reading
from salus_learn.store.model import Model, pattern_of

LIKE_THIS_ONE = 30
FEWEST = 10
CROSSING_MATTERS = 0.05
NARROWING_MATTERS = 0.10


@dataclass(frozen=True, slots=True)
class _Question:
    """One missing input of one case with what like patients had: rows (k, d) and image margins (k,)."""

    name: str
    label: str
    part: Part
    rows: np.ndarray
    images: np.ndarray


def would_change(
    model: Model, readings: Sequence[tuple[Reading, ...]], results: Sequence[RiskResult]
) -> list[tuple[WouldChange, ...]]:
    """Per case the missing inputs that would matter, the most telling first; empty when nothing would.

    `readings` and `results` are of the same cases. A case without a risk gets none.
    """
    x = matrix(model.task, model.schema, readings)  # (n, d)
    asked = [_questions(model, x[at], result) for at, result in enumerate(results)]
    rows = [question.rows for questions in asked for question in questions]
    if not rows:
        return [() for _ in results]
    margins = _record_margins(model, np.concatenate(rows))
    out, start = [], 0
    for result, questions in zip(results, asked, strict=True):
        answers = []
        for question in questions:
            stop = start + len(question.rows)
            answers.append(_answer(model, question, {name: values[start:stop] for name, values in margins.items()}, result))
            start = stop
        kept = [answer for answer in answers if answer is not None and _matters(answer)]
        out.append(tuple(sorted(kept, key=lambda one: (-one.crossing, one.width_then))))
    return out


def _questions(model: Model, row: np.ndarray, result: RiskResult) -> list[_Question]:
    """What is missing of one case and was there in at least ten like patients."""
    if model.pool is None or result.probability is None or result.interval is None:
        return []
    pool, own_image = model.pool, _own_image(model, result)
    questions = []
    for position, spec in enumerate(model.task.features):
        columns = np.flatnonzero(np.array(model.schema.owner) == position)
        if not columns.size or np.isfinite(row[columns]).any():
            continue
        like = pool.like(row, np.flatnonzero(np.isfinite(pool.x[:, columns[0]])), LIKE_THIS_ONE)
        rows = np.tile(row, (len(like), 1))
        rows[:, columns] = pool.x[np.ix_(like, columns)]
        questions.append(_Question(spec.name, spec.label, Part.RECORD, rows, np.full(len(like), own_image)))
    if model.head is not None and not np.isfinite(own_image):
        like = pool.like(row, np.flatnonzero(np.isfinite(pool.image)), LIKE_THIS_ONE)
        label = model.task.images[0].label if len(model.task.images) == 1 else "Images"
        questions.append(_Question("image", label, Part.IMAGE, np.tile(row, (len(like), 1)), pool.image[like]))
    return [question for question in questions if len(question.rows) >= FEWEST]


def _own_image(model: Model, result: RiskResult) -> float:
    """The case's image margin over its reference, NaN without an image."""
    if model.head is None or "image" not in result.arm_margins:
        return float("nan")
    return result.arm_margins["image"] - model.head.reference


def _record_margins(model: Model, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Margins over reference of the record's judges, all rows at once."""
    margins = {}
    if model.line is not None:
        margins["line"] = model.line.margins(rows) - model.line.reference
    if model.trees is not None:
        margins["trees"] = model.trees.quick_margins(rows) - model.trees.reference
    return margins


def _answer(model: Model, question: _Question, record: dict[str, np.ndarray], result: RiskResult) -> WouldChange | None:
    """The risk as it would be with each like patient's value in place."""
    pattern = pattern_of(question.rows[0], bool(np.isfinite(question.images[0])), model)
    if pattern is None or result.interval is None or result.threshold is None:
        return None
    chair, doubt = model.chairs[pattern], model.doubts[pattern]
    by_judge = record | {"image": question.images}
    margins = chair.margins(np.column_stack([by_judge[judge] for judge in chair.judges]))
    risks = [risk_of(float(margin), chair.link) for margin in margins]
    intervals = [doubt.interval(float(margin), risk) for margin, risk in zip(margins, risks, strict=True)]
    above = np.array(risks) >= result.threshold
    return WouldChange(
        name=question.name, label=question.label, part=question.part, crossing=float((above != result.above_threshold).mean()),
        width_now=result.interval[1] - result.interval[0], width_then=float(np.mean([high - low for low, high in intervals])),
        low=float(np.quantile(risks, 0.1)), high=float(np.quantile(risks, 0.9)), n=len(risks),
    )  # fmt: skip


def _matters(answer: WouldChange) -> bool:
    """At least one in twenty like patients would cross the threshold, or the interval would narrow by a tenth."""
    return answer.crossing >= CROSSING_MATTERS or answer.width_then <= answer.width_now * (1 - NARROWING_MATTERS)
