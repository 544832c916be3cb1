"""Every figure of a model report, each with its interval, its n and the name of the method that gave the interval.

Where people come with several cases the resampled intervals draw people, AUROC uses Obuchowski's clustered form of
DeLong's variance (Biometrics 1997; 53: 567), and normal intervals sum within a person. Wilson's interval treats cases as independent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.evaluation.metrics import (
    NOTHING,
    Z95,
    Figure,
    brier,
    calibration_slope,
    mean_by_person,
    proportion_by_person,
)
from salus_learn.evaluation.within import how_paired, placed

Weighted = Callable[[np.ndarray, np.ndarray, np.ndarray], float]
DRAWS = 300
NO_INTERVAL = "no interval: where all stand in order, or one person alone has an outcome, chance cannot be measured"
OF_PROBABILITIES = ("brier", "calibration_slope", "calibration_intercept")


def figure(value: Figure, n: int, method: str, why_not: str = "") -> dict[str, Any]:
    """The plain form of a figure: value and bounds to six digits, None with a reason (`why_not`) where not computable."""
    plain = [round(float(part), 6) + 0.0 if math.isfinite(part) else None for part in value]
    body: dict[str, Any] = {"value": plain[0], "low": plain[1], "high": plain[2], "n": int(n), "method": method}
    if plain[0] is None:
        body["why_not"] = why_not or "not computable: too few people of one outcome"
    elif plain[1] is None or plain[2] is None:
        body["why_not"] = NO_INTERVAL
    return body


def by_person(persons: np.ndarray) -> str:
    """What is added to a method's name where people come with several cases."""
    return "" if len(np.unique(persons)) == len(persons) else ", by person"


def person_weights(persons: np.ndarray, times: int = DRAWS, seed: int = 0) -> Iterator[np.ndarray]:
    """Bootstrap over people (Efron 1979): `times` arrays (n,), how often each case's person was drawn.

    persons: (n,) names; a person's cases come and go together."""
    names, of = np.unique(persons, return_inverse=True)
    rng = np.random.default_rng(seed)
    for _ in range(times):
        yield np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[of].astype(float)


def resampled(of: Weighted, y: np.ndarray, p: np.ndarray, persons: np.ndarray, times: int = DRAWS) -> Figure:
    """A weighted figure with its 95 % percentile interval over people; NOTHING when over half the draws fail, NaN bounds
    where all draws are alike (an arm that puts everybody in order)."""
    draws = np.array([of(y, p, weight) for weight in person_weights(persons, times)])
    draws = draws[np.isfinite(draws)]
    value = of(y, p, np.ones(len(y)))
    if not math.isfinite(value) or draws.size < times / 2:
        return NOTHING
    if np.ptp(draws) < 1e-9:
        return value, float("nan"), float("nan")
    return value, float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def auroc_by_person(y: np.ndarray, p: np.ndarray, persons: np.ndarray, folds: np.ndarray | None = None) -> Figure:
    """AUROC with Obuchowski's (1997) interval, formed on the logit; with one case a person the error is DeLong's (1988).

    y: (n,) 0 and 1; p: (n,), only the order counts; persons: (n,); folds: (n,), whose model gave each p: then only pairs of
    one fold count (within.py). NOTHING under two of either outcome; NaN bounds at an AUROC of 0 or 1, where the error comes
    out as none however few people there are, and with one person of an outcome."""
    found = placed(y, p, folds)
    if found is None:
        return NOTHING
    area = found.area
    error = _clustered_error(*found.centred(), persons[y == 1], persons[y == 0])
    if not 0 < area < 1 or not math.isfinite(error):
        return area, float("nan"), float("nan")
    half = Z95 * error / (area * (1 - area))
    low, high = (float(expit(logit(area) + side * half)) for side in (-1, 1))
    return area, low, high


def auroc_difference(
    y: np.ndarray, p_a: np.ndarray, p_b: np.ndarray, persons: np.ndarray, folds: np.ndarray | None = None
) -> Figure:
    """AUROC of a minus AUROC of b on the same people, paired, clustered as in `auroc_by_person`."""
    of_a, of_b = placed(y, p_a, folds), placed(y, p_b, folds)
    if of_a is None or of_b is None:
        return NOTHING
    apart = of_a.minus(of_b)
    value = apart.area
    error = _clustered_error(*apart.centred(), persons[y == 1], persons[y == 0])
    if error == 0 and value != 0:  # both put everybody in order or the other way round, which no error comes from
        return value, float("nan"), float("nan")
    return value, value - Z95 * error, value + Z95 * error


def _clustered_error(cases: np.ndarray, controls: np.ndarray, who_cases: np.ndarray, who_controls: np.ndarray) -> float:
    """Standard error of a two-sample mean of centred placements, summed within a person before squaring."""
    names, of = np.unique(np.concatenate([who_cases, who_controls]), return_inverse=True)
    k, m, n = len(names), len(cases), len(controls)
    sum_cases = np.bincount(of[:m], weights=cases, minlength=k)
    sum_controls = np.bincount(of[m:], weights=controls, minlength=k)
    k_cases, k_controls = len(np.unique(who_cases)), len(np.unique(who_controls))
    if min(k_cases, k_controls) < 2:
        return float("nan")
    s10 = k_cases / ((k_cases - 1) * m) * (sum_cases**2).sum()
    s01 = k_controls / ((k_controls - 1) * n) * (sum_controls**2).sum()
    s11 = k / (k - 1) * (sum_cases * sum_controls).sum()
    return float(np.sqrt(max(0.0, s10 / m + s01 / n + 2 * s11 / (m * n))))


def average_precision(y: np.ndarray, p: np.ndarray, weight: np.ndarray) -> float:
    """Area under the precision-recall curve as a step sum (average precision), in [0, 1]; NaN without an event."""
    if not (weight[y == 1] > 0).any():
        return float("nan")
    return float(average_precision_score(y, p, sample_weight=weight))


def calibration_intercept(y: np.ndarray, p: np.ndarray, weight: np.ndarray) -> float:
    """Intercept of a logistic regression of the outcome on the margin with the slope held at 1 (Cox 1958), by Newton's method.

    0 is right, above 0 the risks are too low; log odds. NaN with one outcome only."""
    inside = np.clip(p, 1e-6, 1 - 1e-6)
    margin, at = np.log(inside / (1 - inside)), 0.0
    if min((weight * y).sum(), (weight * (1 - y)).sum()) <= 0:
        return float("nan")
    for _ in range(50):
        risk = 1 / (1 + np.exp(-np.clip(margin + at, -35, 35)))
        step = float((weight * (y - risk)).sum() / (weight * risk * (1 - risk)).sum())
        at += min(max(step, -4.0), 4.0)
        if abs(step) < 1e-8:
            return at
    return float("nan")


def operating_figures(y: np.ndarray, flagged: np.ndarray, persons: np.ndarray) -> dict[str, dict[str, Any]]:
    """Sensitivity, specificity, PPV, NPV and accuracy with Wilson's interval (1927), each over its own n, by person.

    y: (n,) 0 and 1; flagged: (n,) bool; persons: (n,)."""
    event, flag = y == 1, flagged.astype(bool)
    asked = {
        "sensitivity": (event, "nobody with the outcome"), "specificity": (~event, "nobody without the outcome"),
        "ppv": (flag, "nobody was flagged"), "npv": (~flag, "everybody was flagged"), "accuracy": (np.ones(len(y), dtype=bool), "nobody"),
    }  # fmt: skip
    return {
        name: figure(proportion_by_person((event == flag)[of], persons[of]), int(of.sum()), f"Wilson{by_person(persons)}", f"not computable: {why}")
        for name, (of, why) in asked.items()
    }


def arm_figures(
    y: np.ndarray, p: np.ndarray, flagged: np.ndarray, persons: np.ndarray, folds: np.ndarray | None = None
) -> dict[str, Any]:
    """All figures of one arm on the people for whom it has a probability.

    y: (n,) 0 and 1; p: (n,) in [0, 1], no NaN; flagged: (n,) bool; persons, folds: (n,)."""
    n = len(y)
    slope = calibration_slope(y, p, persons)
    intercept = resampled(calibration_intercept, y, p, persons)
    by = by_person(persons)
    undone = "not computable: one outcome only, or the arm separates the outcomes perfectly"
    return {
        "n": n, "events": int((y == 1).sum()),
        "auroc": figure(auroc_by_person(y, p, persons, folds), n, f"DeLong{how_paired(folds)}{by}"),
        "auprc": figure(resampled(average_precision, y, p, persons), n, "bootstrap"),
        "brier": figure(brier(y, p, persons), n, f"normal{by}"),
        "calibration_slope": figure(slope, n, "bootstrap", undone),
        "calibration_intercept": figure(intercept, n, "bootstrap", undone),
    } | operating_figures(y, flagged, persons)  # fmt: skip


def all_arms(judged: JudgedPeople) -> dict[str, Any]:
    """Figures of every arm that speaks, and of the fused risk where it does not abstain (`fused_spoken`)."""
    chosen = {arm: (arm, judged.known(arm)) for arm in judged.speaking()}
    spoken = judged.known("fused") & ~judged.abstained
    if spoken.any() and judged.abstained.any():
        chosen["fused_spoken"] = ("fused", spoken)
    found = {
        name: arm_figures(
            judged.y[on], judged.probabilities[arm][on], judged.flagged[arm][on], judged.persons[on], judged.folds_of(on)
        )
        for name, (arm, on) in chosen.items()
    }
    for arm in set(found) & set(judged.task.uncalibrated):
        found[arm] |= {name: not_a_probability(found[arm][name]) for name in OF_PROBABILITIES}
    return found


def not_a_probability(found: dict[str, Any]) -> dict[str, Any]:
    """The same figure left empty, with why: the arm's value says who is before whom, not how likely the outcome is."""
    return figure(NOTHING, found["n"], found["method"], "not a probability: this arm only ranks people, by a log hazard")


def paired_differences(judged: JudgedPeople) -> list[dict[str, Any]]:
    """Fused minus each single arm, each on the people for whom both speak: AUROC and Brier (under 0 is better).

    Empty beside one arm, where nothing is fused.
    """
    rows: list[dict[str, Any]] = []
    singles = [arm for arm in judged.speaking() if arm != "fused"]
    for arm in singles if len(singles) > 1 else ():
        both = judged.known("fused") & judged.known(arm)
        y, persons, folds = judged.y[both], judged.persons[both], judged.folds_of(both)
        fused, single = judged.probabilities["fused"][both], judged.probabilities[arm][both]
        n = int(both.sum())
        by = by_person(persons)
        squared = figure(mean_by_person((fused - y) ** 2 - (single - y) ** 2, persons), n, f"normal, paired{by}")
        rows.append({
            "arm": arm, "n": n, "events": int(y.sum()),
            "auroc": figure(auroc_difference(y, fused, single, persons, folds), n, f"DeLong, paired{how_paired(folds)}{by}"),
            "brier": not_a_probability(squared) if arm in judged.task.uncalibrated else squared,
        })  # fmt: skip
    return rows
