"""What a threshold does: counts, predictive values at another prevalence, net benefit (Vickers and Elkin 2006)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from salus_learn.evaluation.figures import DRAWS, person_weights
from salus_learn.evaluation.metrics import NOTHING, Z95, Figure

LEAST_ON_A_SIDE = 25
STEPS = 200


def counts_at(y: np.ndarray, flagged: np.ndarray) -> dict[str, int]:
    """The confusion matrix. y: (n,) 0 and 1; flagged: (n,) bool. tp + fn is the events, fp + tn the others."""
    event, flag = y == 1, flagged.astype(bool)
    return {
        "tp": int((event & flag).sum()), "fn": int((event & ~flag).sum()),
        "fp": int((~event & flag).sum()), "tn": int((~event & ~flag).sum()),
    }  # fmt: skip


def threshold_counts(y: np.ndarray, p: np.ndarray, steps: int = STEPS) -> dict[str, Any]:
    """True and false positives when everybody with p >= t is flagged, at t = 0, 1/steps, ..., 1.

    y: (n,) 0 and 1; p: (n,) in [0, 1]. Lists of steps + 1 whole numbers, falling; `first` and `last` are the steps between which
    some are flagged and some are not."""
    cuts = np.arange(steps + 1) / steps
    above_cases = np.sort(p[y == 1])
    above_controls = np.sort(p[y == 0])
    tp = len(above_cases) - np.searchsorted(above_cases, cuts, side="left")
    fp = len(above_controls) - np.searchsorted(above_controls, cuts, side="left")
    last = int((tp + fp > 0).sum()) - 1
    return {
        "steps": steps, "first": min(int((tp + fp == len(y)).sum()), last), "last": last,
        "events": len(above_cases), "others": len(above_controls), "tp": tp.tolist(), "fp": fp.tolist(),
    }  # fmt: skip


def predictive_values(counts: dict[str, int], prevalence: float) -> tuple[Figure, Figure]:
    """PPV and NPV at a local prevalence, from the sensitivity and specificity of `counts` (Bayes).

    prevalence in (0, 1), otherwise NOTHING, as with nobody of one outcome. 95 % interval on the logit
    (Mercaldo, Lau and Zhou, Stat Med 2007; 26: 2170) with a half added to either cell, so that a cell of 0 has one."""
    events, others = counts["tp"] + counts["fn"], counts["fp"] + counts["tn"]
    if not 0 < prevalence < 1 or not events or not others:
        return NOTHING, NOTHING
    odds = prevalence / (1 - prevalence)
    ppv = _bayes(counts["tp"], events, counts["fp"], others, odds)
    npv = _bayes(counts["tn"], others, counts["fn"], events, 1 / odds)
    return ppv, npv


def _bayes(right: int, right_of: int, wrong: int, wrong_of: int, odds: float) -> Figure:
    """Posterior share from a rate of right and a rate of wrong answers and the odds before."""
    top, bottom = right / right_of * odds, wrong / wrong_of
    if top + bottom == 0:
        return NOTHING
    value = top / (top + bottom)
    a, b = _moved(right, right_of), _moved(wrong, wrong_of)
    centre = math.log(a / b * odds)
    half = Z95 * math.sqrt((1 - a) / a / (right_of + 1) + (1 - b) / b / (wrong_of + 1))
    low, high = (1 / (1 + math.exp(-(centre + side * half))) for side in (-1, 1))
    return value, min(low, value), max(high, value)


def _moved(hits: int, n: int) -> float:
    return (hits + 0.5) / (n + 1)


def net_benefit(tp: float, fp: float, n: float, threshold: float) -> float:
    """(TP - FP x t / (1 - t)) / n (Vickers and Elkin, Med Decis Making 2006; 26: 565).

    In true positives per person; t in [0, 1), the risk at which acting and not acting weigh the same."""
    return tp / n - fp / n * threshold / (1 - threshold)


def decision_curve(
    y: np.ndarray, p: np.ndarray, persons: np.ndarray, last: float = 0.6, times: int = DRAWS
) -> dict[str, Any]:
    """Net benefit of acting on the model, on everybody and on nobody, at t = 0.01, 0.02, ..., last.

    y: (n,) 0 and 1; p: (n,) in [0, 1]; persons: (n,). `low` and `high` are the pointwise 95 % of the bootstrap over
    people of the model's net benefit; `gain_low` and `gain_high` those of the model less the better of all and none. `gain_sure` is what
    that gain exceeds at all thresholds together (97.5 %, by the largest of the standardised draws), never above 0 where fewer than
    25 cases would be flagged or not: a claim that looks through all thresholds rests on it."""
    cuts = np.round(np.arange(1, round(last * 100) + 1) / 100, 2)
    at = np.searchsorted(cuts, p, side="right")  # how many cuts are <= p
    model, everybody = _benefits(y, at, np.ones(len(y)), cuts)
    draws = [_benefits(y, at, weight, cuts) for weight in person_weights(persons, times)]
    own = np.array([draw[0] for draw in draws])
    gain = own - np.maximum(np.array([draw[1] for draw in draws]), 0.0)
    low, high = np.quantile(own, (0.025, 0.975), axis=0)
    gain_low, gain_high = np.quantile(gain, (0.025, 0.975), axis=0)
    value, spread = model - np.maximum(everybody, 0.0), gain.std(axis=0, ddof=1)
    flagged = (p[:, None] >= cuts[None, :]).sum(axis=0)
    many = np.minimum(flagged, len(p) - flagged) >= LEAST_ON_A_SIDE
    apart = np.divide(gain - value, spread, out=np.zeros_like(gain), where=(spread > 0) & many)
    sure = value - np.quantile(apart.max(axis=1), 0.975) * spread
    sure = np.where(many, sure, np.minimum(sure, 0.0))
    named = {
        "t": cuts, "model": model, "all": everybody, "none": np.zeros(len(cuts)), "low": low, "high": high,
        "gain": value, "gain_sure": sure, "gain_low": gain_low, "gain_high": gain_high,
    }  # fmt: skip
    return {"n": len(y), "events": int(y.sum()), "draws": times} | {
        name: values.round(6).tolist() for name, values in named.items()
    }


def _benefits(y: np.ndarray, at: np.ndarray, weight: np.ndarray, cuts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Net benefit of the model and of treating all at every cut, cases weighted."""
    total, k = weight.sum(), len(cuts)
    of_cases = np.bincount(at, weights=weight * y, minlength=k + 1)
    of_controls = np.bincount(at, weights=weight * (1 - y), minlength=k + 1)
    tp, fp = (np.cumsum(part[::-1])[::-1][1:] for part in (of_cases, of_controls))
    price = cuts / (1 - cuts)
    return tp / total - fp / total * price, of_cases.sum() / total - of_controls.sum() / total * price
