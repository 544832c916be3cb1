"""The risk of each kind of one patient, beside the risk of any, each with reasons that add up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from salus_learn.contracts import KindRisk, Part, RiskResult
from salus_learn.explain.points import check_sum
from salus_learn.imaging.embed import Prepared
from salus_learn.kinds.model import Kinds, image_apart, record_terms
from salus_learn.kinds.path import kind_probabilities, path_factors


def account_kinds(
    kinds: Kinds, owner: Sequence[int], x: np.ndarray, prepared: Prepared | None, index: np.ndarray, results: Sequence[RiskResult]
) -> list[tuple[KindRisk, ...]]:
    """One tuple of kinds per result (those of the cases `index`); empty where there is no risk or no chair for what is present.

    x (n, d) and `prepared` hold all cases; `owner` (d,) is each column's feature. Raises ExplanationError when reasons
    do not add up.
    """
    terms = [record_terms(judges, x[index]) for judges in kinds.judges]  # per kind, judge -> (k, d)
    images = [image_apart(judges, prepared, index) for judges in kinds.judges]  # per kind (k,)
    found: list[tuple[KindRisk, ...]] = []
    for at, result in enumerate(results):
        chair = kinds.chairs.get(result.pattern)
        if chair is None or result.margin is None:
            found.append(())
            continue
        weight = dict(zip(chair.judges, chair.weight.tolist(), strict=True))
        record = [{judge: part[at] for judge, part in one.items()} for one in terms]
        added = [_added(result, weight, owner, record[k], float(images[k][at])) for k in range(len(kinds.names))]
        found.append(_kinds_of(kinds.names, chair.offset, np.array(added), result))
    return found


def _added(
    result: RiskResult, weight: dict[str, float], owner: Sequence[int], record: dict[str, np.ndarray], image: float
) -> list[float]:
    """What each reason of the result adds to the margin of one kind, in the order of the reasons."""
    features = [0.0] * (max(owner, default=-1) + 1)
    for judge, columns in record.items():
        if judge in weight:
            for feature, term in zip(owner, columns.tolist(), strict=True):
                features[feature] += weight[judge] * term
    of_record = iter(features)
    return [
        weight.get("image", 0.0) * image if reason.part is Part.IMAGE else next(of_record, 0.0) for reason in result.reasons
    ]


def _kinds_of(names: tuple[str, ...], offset: np.ndarray, added: np.ndarray, result: RiskResult) -> tuple[KindRisk, ...]:
    """`added` (K, R): per kind and reason."""
    start, end = float(result.reference_margin or 0.0), float(result.margin or 0.0)
    s_end = offset + added.sum(axis=1)
    of_margin, of_kinds = path_factors(start, end, offset, s_end)
    own = np.array([reason.term for reason in result.reasons])  # (R,)
    points = 100 * (of_margin[:, None] * own + of_kinds @ added)  # (K, R)
    probability = kind_probabilities(np.array([end]), s_end[None])[0]
    reference = kind_probabilities(np.array([start]), offset[None])[0]
    out = []
    for name, p, p0, row in zip(names, probability.tolist(), reference.tolist(), points.tolist(), strict=True):
        check_sum(row, p, p0)
        out.append(KindRisk(name, p, p0, tuple(row)))
    return tuple(out)
