"""What nobody lacked who taught a model cannot be lacked when it is asked: it never learnt what a gap there means.

The line then stands at the middle of the others and the trees take a way that no data chose, so the risk is a guess that looks
like any other. A category in a word that the model does not know is such a gap too. The values of the most similar training
people are put in the place of all such gaps at once. Where the answer hangs on them the model keeps it to itself; where it does
not, the interval is widened to hold what they would have made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from salus_learn.contracts import MissingInput, Part, RiskResult, RiskState
from salus_learn.features.columns import gaps
from salus_learn.scoring.change import answered, matters
from salus_learn.scoring.supposed import SupposedRisks, own_image, risks_of_all, with_their_values
from salus_learn.store.model import Model

CROSSING = 0.05
MOST_NAMED = 3
_INSIDE = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class _Gaps:
    """What one case lacks and next to nobody did: names, columns of the schema, and places among the image slots."""

    names: tuple[str, ...]
    columns: np.ndarray
    slots: tuple[int, ...]


def hold_back(model: Model, x: np.ndarray, results: Sequence[RiskResult]) -> list[RiskResult]:
    """The results, in order, those of the cases that lack what nobody lacked held back or widened.

    `x` (n, d), the schema's columns, is of the same cases. Who has no record or no image at all is not touched for that: what is
    there then has a chair of its own, which was taught so.
    """
    empty = gaps(model.task, model.schema, x)
    found = {at: one for at, result in enumerate(results) if (one := _gaps(model, empty[at], result)).names}
    asked = {at: with_their_values(model, x[at], own_image(model, results[at]), one.columns, one.slots) for at, one in found.items()}
    supposed = {at: one for at, one in asked.items() if one is not None}
    risks = dict(zip(supposed, risks_of_all(model, list(supposed.values())), strict=True))
    return [_judged(_marked(model, result, found[at]), risks.get(at)) if at in found else result for at, result in enumerate(results)]


def _gaps(model: Model, empty: np.ndarray, result: RiskResult) -> _Gaps:
    """Only of a risk that would be shown; of the record where its judges speak, and of the images where theirs does."""
    if result.state is not RiskState.COMPUTED:
        return _Gaps((), np.zeros(0, dtype=int), ())
    lacking = [spec.name for spec, gap in zip(model.task.features, empty.tolist(), strict=True) if gap and Part.RECORD in result.pattern]
    lacking += [one.name for one in result.missing if one.part is Part.IMAGE and Part.IMAGE in result.pattern]
    names = tuple(name for name in lacking if name in model.always_there)
    features, slots = ([one.name for one in specs] for specs in (model.task.features, model.task.images))
    columns = [column for column, owner in enumerate(model.schema.owner) if features[owner] in names]
    return _Gaps(names, np.array(columns, dtype=int), tuple(slots.index(name) for name in names if name in slots))


def _marked(model: Model, result: RiskResult, found: _Gaps) -> RiskResult:
    """The result with its gaps marked among what is missing, and what was recorded in a word that the model does not know beside."""
    missing = [replace(one, untaught=one.name in found.names) for one in result.missing]
    there = {one.name for one in missing}
    unknown = [spec for spec in model.task.features if spec.name in found.names and spec.name not in there]
    missing += [MissingInput(spec.name, f"{spec.label} in a word it knows", Part.RECORD, untaught=True) for spec in unknown]
    return replace(result, missing=tuple(missing))


def _judged(result: RiskResult, supposed: SupposedRisks | None) -> RiskResult:
    """Held back where the answer hangs on the gaps or nobody can say; else with an interval that holds what it might have been."""
    gone = [one for one in result.missing if one.untaught]
    said = f"Missing: {_listed(gone)}. Hardly anybody who taught the model lacked {'these' if len(gone) > 1 else 'this'}"
    if supposed is None:
        return replace(result, state=RiskState.ABSTAINED, why=f"{said}, so its risk would be a guess.")
    other = int(((supposed.risks >= result.threshold) != result.above_threshold).sum())
    if other >= CROSSING * len(supposed.risks):
        why = f"{said}, and with the values of {len(supposed.risks)} patients like this one {other} would be on the other side of the threshold."
        return _answering(replace(result, state=RiskState.ABSTAINED, why=why), gone, supposed)
    low, high = np.quantile(supposed.intervals[:, 0], _INSIDE[0]), np.quantile(supposed.intervals[:, 1], _INSIDE[1])
    assert result.interval is not None  # a computed risk has one
    wide = (min(result.interval[0], float(low)), max(result.interval[1], float(high)))
    return _answering(replace(result, interval=wide), gone, supposed)


def _answering(result: RiskResult, gone: Sequence[MissingInput], supposed: SupposedRisks) -> RiskResult:
    """With what knowing all of the gaps at once would change: one alone leaves the others."""
    answer = answered("+".join(one.name for one in gone), _listed(gone), gone[0].part, supposed, result)
    return replace(result, would_change=(answer,) if answer is not None and matters(answer) else ())


def _listed(gone: Sequence[MissingInput]) -> str:
    """At most three by name; all of them stand among what is missing."""
    labels = [one.label for one in gone]
    *first, last = labels if len(labels) <= MOST_NAMED else (*labels[: MOST_NAMED - 1], f"{len(labels) - MOST_NAMED + 1} more")
    return f"{', '.join(first)} and {last}" if first else last
