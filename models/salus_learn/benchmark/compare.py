"""Figures of ours and of a peer on the same people, the paired difference, and what may be claimed from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from salus_learn.evaluation.figures import (
    arm_figures,
    auroc_difference,
    by_person,
    figure,
    not_a_probability,
    person_weights,
)
from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.evaluation.metrics import NOTHING, Figure, mean_by_person
from salus_learn.evaluation.survival import auroc_at, harrell_c
from salus_learn.evaluation.within import how_paired
from salus_learn.features.target import Target

SAME_PART = {"record": ("line", "trees"), "image": ("image",)}
DRAWS = 1000
_CHUNK = 512


def claim(difference: dict[str, Any]) -> str:
    """What a difference (ours minus the peer's, more is better) shows: better, worse, or no difference shown."""
    if difference["low"] is None or difference["high"] is None:
        return "not computable"
    if difference["low"] > 0:
        return "better"
    return "worse" if difference["high"] < 0 else "no difference shown"


def against(
    judged: JudgedPeople, probabilities: np.ndarray, flagged: np.ndarray, reads: str
) -> dict[str, Any]:
    """The peer's own figures, ours minus the peer's, and the same for our arms that look at the same part of the patient.

    probabilities (n,), NaN where silent, and flagged (n,) are of the judged people, in their order."""
    known = np.isfinite(probabilities)
    arms = [arm for arm in SAME_PART[reads] if arm in judged.speaking()]
    found: dict[str, Any] = {
        "figures": arm_figures(judged.y[known], probabilities[known], flagged[known], judged.persons[known], judged.folds_of(known)),
        "ours_minus_peer": difference(judged, "fused", probabilities),
        "arms_minus_peer": {arm: difference(judged, arm, probabilities) for arm in arms},
    }
    for arm in set(arms) & set(judged.task.uncalibrated):
        apart = found["arms_minus_peer"][arm]
        apart["brier"] = not_a_probability(apart["brier"])
    return found | {"claim": claim(found["ours_minus_peer"]["auroc"]), "claim_on": "auroc"}


def difference(judged: JudgedPeople, arm: str, probabilities: np.ndarray) -> dict[str, Any]:
    """One of our arms minus a peer on the people for whom both speak: AUROC (over 0 is better), Brier (under 0 is)."""
    both = judged.known(arm) & np.isfinite(probabilities)
    folds = judged.folds_of(both)
    y, persons, ours, theirs = judged.y[both], judged.persons[both], judged.probabilities[arm][both], probabilities[both]
    n, by = int(both.sum()), by_person(persons)
    return {
        "n": n, "events": int(y.sum()),
        "auroc": figure(auroc_difference(y, ours, theirs, persons, folds), n, f"DeLong, paired{how_paired(folds)}{by}"),
        "brier": figure(mean_by_person((ours - y) ** 2 - (theirs - y) ** 2, persons), n, f"normal, paired{by}"),
    }  # fmt: skip


def survival_against(
    target: Target, ours: np.ndarray, theirs: np.ndarray, persons: np.ndarray, horizon_days: float,
    folds: np.ndarray | None = None,
) -> dict[str, Any]:
    """Time to an event: Harrell's C and the AUROC at the horizon of both, and the paired difference in C.

    Risks (n,) by the horizon, of everybody, also those lost before it; judged where both speak."""
    both = np.isfinite(ours) & np.isfinite(theirs)
    part, n = target.take(np.flatnonzero(both)), int(both.sum())
    of = None if folds is None else folds[both]
    assert part.time is not None
    gap = c_difference(part, ours[both], theirs[both], persons[both], of)
    found: dict[str, Any] = {
        "ours": _survival_figures(part, ours[both], persons[both], horizon_days, of),
        "peer": _survival_figures(part, theirs[both], persons[both], horizon_days, of),
        "harrell_c_ours_minus_peer": figure(gap, n, f"bootstrap, paired, by person, {DRAWS} draws"),
    }
    return found | {"claim": claim(found["harrell_c_ours_minus_peer"])}


def _survival_figures(
    target: Target, risk: np.ndarray, persons: np.ndarray, horizon_days: float, folds: np.ndarray | None
) -> dict[str, Any]:
    assert target.time is not None
    return {
        "harrell_c": figure(harrell_c(target.time, target.y, risk, persons, folds), len(risk), "by each person's part"),
        "auroc_at_horizon": figure(auroc_at(target.time, target.y, risk, horizon_days, persons, folds), len(risk), "bootstrap"),
    }


def c_difference(
    target: Target, ours: np.ndarray, theirs: np.ndarray, persons: np.ndarray, folds: np.ndarray | None = None
) -> Figure:
    """Harrell's C of ours minus theirs with its percentile interval over people drawn again, the same draws for both.

    A draw only weighs each pair by how often its two people were drawn, so all draws are one product of matrices."""
    time, event = target.time, target.y
    assert time is not None
    drawn = [np.ones(len(event)), *person_weights(persons, DRAWS)]
    weights = np.stack(drawn, axis=1).astype(np.float32)  # (n, 1 + DRAWS)
    gap, pairs = np.zeros(weights.shape[1]), np.zeros(weights.shape[1])
    firsts = np.flatnonzero(event == 1)
    for start in range(0, len(firsts), _CHUNK):
        at = firsts[start : start + _CHUNK]
        after = (time[None, :] > time[at, None]) | ((time[None, :] == time[at, None]) & (event[None, :] == 0))
        if folds is not None:
            after &= folds[None, :] == folds[at, None]
        apart = (_won(ours, at) - _won(theirs, at)) * after
        gap += ((apart.astype(np.float32) @ weights) * weights[at]).sum(axis=0, dtype=np.float64)
        pairs += ((after.astype(np.float32) @ weights) * weights[at]).sum(axis=0, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = gap / pairs
    finite = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or len(finite) < DRAWS / 2:
        return NOTHING
    if values[0] and finite.min() == finite.max():  # a perfect order against its reverse: nothing tells how sure that is
        return float(values[0]), float("nan"), float("nan")
    return float(values[0]), float(np.quantile(finite, 0.025)), float(np.quantile(finite, 0.975))


def _won(risk: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(k, n): 1 where the person `at` has the higher risk, a half for a tie."""
    return 0.5 + 0.5 * np.sign(risk[at, None] - risk[None, :])
