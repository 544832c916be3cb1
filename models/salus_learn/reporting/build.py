"""Every number of the report in one plain form (report.json), from which page and PDF are made. Nothing is drawn here."""

from __future__ import annotations

from typing import Any

import numpy as np

from salus_learn.evaluation.claims import SEED_CLAIMS, Claim, checked, own_claims
from salus_learn.evaluation.curves import calibration_bins, risk_histogram, shared_ends
from salus_learn.evaluation.decision import counts_at, decision_curve, threshold_counts
from salus_learn.evaluation.figures import all_arms, figure, paired_differences
from salus_learn.evaluation.judged import EXTRA_PARTS, JudgedPeople, JudgedTask
from salus_learn.evaluation.metrics import proportion_wilson
from salus_learn.evaluation.roc import roc_points
from salus_learn.evaluation.subgroups import LEAST_EVENTS, LEAST_PEOPLE, coverage_report, subgroup_figures

FORM = 1
NOT_MEASURED = "not measured"


def build_report(judged: JudgedPeople, claims: tuple[Claim, ...] = SEED_CLAIMS) -> dict[str, Any]:
    """All figures of a report as plain JSON. Deterministic: the same people give the same bytes.

    Raises ValueError when the fused risk speaks for nobody."""
    on = judged.known("fused")
    if not on.any():
        raise ValueError("The fused risk speaks for nobody, so there is nothing to report.")
    y, p, persons = judged.y[on], judged.probabilities["fused"][on], judged.persons[on]
    n, events = len(judged.y), int(judged.y.sum())
    arms = all_arms(judged)
    share = round(events / n, 6)
    return {
        "form": FORM,
        "task": _task(judged.task),
        "people": {
            "n": n, "persons": len(np.unique(judged.persons)), "events": events, "without_fused": int(n - on.sum()),
            "prevalence": figure(proportion_wilson(events, n), n, "Wilson"),
        },
        "arms": arms,
        "differences": paired_differences(judged),
        "roc": {arm: roc_points(*_pair(judged, arm), judged.folds_of(judged.known(arm))) for arm in judged.speaking()},
        "calibration": {"n": len(y), "bins": calibration_bins(y, p, persons), "histogram": risk_histogram(*_shared(judged, "fused"))},
        "matrix": {arm: _matrix(judged, arm) for arm in judged.speaking() if arm not in judged.task.uncalibrated},
        "decision": decision_curve(y, p, persons, last=_last_threshold(p)),
        "subgroups": {
            "least_people": LEAST_PEOPLE, "least_of_either_outcome": LEAST_EVENTS, "rows": subgroup_figures(judged),
        },
        "coverage": coverage_report(judged),
        "claims": own_claims(judged.task.title, judged.task.origin, share, n, arms["fused"])
        + [checked(claim) for claim in claims],
        "extra": {part: judged.extra.get(part, {"state": NOT_MEASURED}) for part in EXTRA_PARTS},
    }  # fmt: skip


def _task(task: JudgedTask) -> dict[str, Any]:
    return {name: getattr(task, name) for name in JudgedTask.__dataclass_fields__}


def _pair(judged: JudgedPeople, arm: str) -> tuple[np.ndarray, np.ndarray]:
    on = judged.known(arm)
    return judged.y[on], judged.probabilities[arm][on]


def _shared(judged: JudgedPeople, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes and risks with ends that 11 people share: what is counted along the risks stops where fewer are left."""
    on = judged.known(arm)
    return judged.y[on], shared_ends(judged.probabilities[arm][on], judged.persons[on])


def _matrix(judged: JudgedPeople, arm: str) -> dict[str, Any]:
    """The confusion matrix at the operating point, and the counts at every threshold for the sliders."""
    y, p = _shared(judged, arm)
    return {
        "n": len(y),
        "operating": counts_at(y, judged.flagged[arm][judged.known(arm)]),
        "thresholds": threshold_counts(y, p),
    }


def _last_threshold(p: np.ndarray) -> float:
    """Where the decision curve ends: the tenth above the 99th percentile of risk, within 0.3 and 0.9."""
    return float(np.clip(np.ceil(np.quantile(p, 0.99) * 10) / 10, 0.3, 0.9))
