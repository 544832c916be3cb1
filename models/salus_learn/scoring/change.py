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
from salus_learn.scoring.supposed import (
    FEWEST,
    LIKE_THIS_ONE,
    Supposed,
    SupposedRisks,
    own_image,
    risks_of_all,
    with_their_values,
)
from salus_learn.store.model import Model

CROSSING_MATTERS = 0.05
NARROWING_MATTERS = 0.10


@dataclass(frozen=True, slots=True)
class _Question:
    """One missing input of one case, and the case with what like patients had."""

    name: str
    label: str
    part: Part
    supposed: Supposed


def would_change(model: Model, x: np.ndarray, results: Sequence[RiskResult]) -> list[tuple[WouldChange, ...]]:
    """Per case the missing inputs that would matter, the most telling first; empty when nothing would. A case that is answered
    already (for what nobody lacked who taught: what else is missing is asked once that is known) keeps its answer.

    `x` (n, d), the schema's columns, and `results` are of the same cases. A case without a risk gets none.
    """
    asked = [[] if result.would_change else _questions(model, x[at], result) for at, result in enumerate(results)]
    risks = iter(risks_of_all(model, [question.supposed for questions in asked for question in questions]))
    out = []
    for result, questions in zip(results, asked, strict=True):
        answers = [answered(question.name, question.label, question.part, next(risks), result) for question in questions]
        kept = [answer for answer in answers if answer is not None and matters(answer)]
        out.append(result.would_change or tuple(sorted(kept, key=lambda one: (-one.crossing, one.width_then))))
    return out


def _questions(model: Model, row: np.ndarray, result: RiskResult) -> list[_Question]:
    """What is missing of one case and was there in at least ten like patients."""
    if model.pool is None or result.probability is None or result.interval is None:
        return []
    pool, image = model.pool, own_image(model, result)
    questions = []
    for position, spec in enumerate(model.task.features):
        columns = np.flatnonzero(np.array(model.schema.owner) == position)
        if not columns.size or np.isfinite(row[columns]).any():
            continue
        supposed = with_their_values(model, row, image, columns)
        if supposed is not None:
            questions.append(_Question(spec.name, spec.label, Part.RECORD, supposed))
    if model.head is not None and not np.isfinite(image):
        like = pool.like(row, np.flatnonzero(np.isfinite(pool.image)), LIKE_THIS_ONE)
        label = model.task.images[0].label if len(model.task.images) == 1 else "Images"
        if len(like) >= FEWEST:
            questions.append(_Question("image", label, Part.IMAGE, Supposed(np.tile(row, (len(like), 1)), pool.image[like])))
    return questions


def answered(name: str, label: str, part: Part, supposed: SupposedRisks | None, result: RiskResult) -> WouldChange | None:
    """The risk as it would be with each like patient's value in place; None where that was not worked out."""
    if supposed is None or result.interval is None or result.threshold is None:
        return None
    above = supposed.risks >= result.threshold
    return WouldChange(
        name=name, label=label, part=part, crossing=float((above != result.above_threshold).mean()),
        width_now=result.interval[1] - result.interval[0], width_then=float((supposed.intervals[:, 1] - supposed.intervals[:, 0]).mean()),
        low=float(np.quantile(supposed.risks, 0.1)), high=float(np.quantile(supposed.risks, 0.9)), n=len(supposed.risks),
    )  # fmt: skip


def matters(answer: WouldChange) -> bool:
    """At least one in twenty like patients would cross the threshold, or the interval would narrow by a tenth."""
    return answer.crossing >= CROSSING_MATTERS or answer.width_then <= answer.width_now * (1 - NARROWING_MATTERS)
