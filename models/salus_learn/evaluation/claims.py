"""Published figures beside our own, in the same columns, with what a paper left out said out loud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from salus_learn.evaluation.metrics import proportion_wilson

NOT_STATED = "not stated"
_WHOLE, _EVENTS, _OTHERS = ("accuracy",), ("sensitivity",), ("specificity",)


@dataclass(frozen=True, slots=True)
class Claim:
    """One figure as a source states it. value, prevalence and interval bounds in [0, 1]; None where not stated.

    n counts everybody the figure was measured on. Raises ValueError for a share outside [0, 1] or n under 1."""

    source: str
    task: str
    figure: str
    value: float
    n: int | None = None
    prevalence: float | None = None
    interval: tuple[float, float] | None = None
    note: str = ""

    def __post_init__(self) -> None:
        shares = [self.value, *(self.interval or ())] + ([] if self.prevalence is None else [self.prevalence])
        if not all(0 <= share <= 1 for share in shares):
            raise ValueError(f"{self.source}, {self.task}: a share is outside 0 to 1.")
        if self.n is not None and self.n < 1:
            raise ValueError(f"{self.source}, {self.task}: n must be at least 1.")


_ALAM = "Alam and Ojha (the seed review)"
SEED_CLAIMS = (
    Claim(_ALAM, "pneumonia, chest X-ray", "accuracy", 0.914, note="stated as a rise from 78.3\u00a0%"),
    Claim(_ALAM, "breast cancer, mammography", "accuracy", 0.946, note="stated as a rise from 85.2\u00a0%"),
    Claim(_ALAM, "brain tumour, MRI", "accuracy", 0.963, note="stated as a rise from 89.7\u00a0%"),
    Claim(_ALAM, "diabetic retinopathy, fundus", "sensitivity", 0.925, note="the same 92.5\u00a0% is also called accuracy"),
    Claim(_ALAM, "diabetic retinopathy, fundus", "specificity", 0.884),
    Claim(_ALAM, "Alzheimer's disease, MRI", "sensitivity", 0.902),
    Claim(_ALAM, "Alzheimer's disease, MRI", "specificity", 0.857),
)


def checked(claim: Claim) -> dict[str, Any]:
    """The claim as a row: every column filled or "not stated"; Wilson's 95 % interval where n lets it be worked out.

    Accuracy needs n; sensitivity and specificity need n and prevalence. PPV, NPV and AUROC are not recomputed."""
    n = _denominator(claim)
    interval: Any = NOT_STATED
    if n:
        _, low, high = proportion_wilson(round(claim.value * n), n)
        interval = {"low": round(low, 6), "high": round(high, 6), "n": n, "by": "recomputed, Wilson"}
    elif claim.interval is not None:
        interval = {"low": claim.interval[0], "high": claim.interval[1], "by": "as stated"}
    return {
        "source": claim.source, "task": claim.task, "figure": claim.figure, "value": claim.value,
        "n": NOT_STATED if claim.n is None else claim.n,
        "prevalence": NOT_STATED if claim.prevalence is None else claim.prevalence,
        "interval": interval, "verdict": _verdict(claim, interval), "note": claim.note,
    }  # fmt: skip


def _denominator(claim: Claim) -> int | None:
    """How many people a share was taken of, or None when the claim does not let it be known."""
    if claim.n is None:
        return None
    if claim.figure in _WHOLE:
        return claim.n
    if claim.prevalence is None:
        return None
    if claim.figure in _EVENTS:
        return round(claim.n * claim.prevalence)
    return round(claim.n * (1 - claim.prevalence)) if claim.figure in _OTHERS else None


def _verdict(claim: Claim, interval: Any) -> str:
    missing = [
        word
        for word, value in (("n", claim.n), ("prevalence", claim.prevalence))
        if value is None
    ] + (["interval"] if interval == NOT_STATED else [])  # fmt: skip
    if missing:
        return "cannot be checked: no " + ", no ".join(missing)
    common = max(claim.prevalence or 0.0, 1 - (claim.prevalence or 0.0))
    if claim.figure in _WHOLE and interval["low"] <= common:
        return f"not shown to beat always giving the commoner answer ({100 * common:.1f}\u00a0%)"
    return "can be read"


def own_claims(task_title: str, origin: str, prevalence: float, n: int, arm: dict[str, Any]) -> list[dict[str, Any]]:
    """Our own fused figures in the same columns. arm: as `arm_figures` gives; prevalence in [0, 1]."""
    rows = []
    for name, word in (("accuracy", "accuracy"), ("sensitivity", "sensitivity"), ("specificity", "specificity"), ("auroc", "AUROC")):
        own = arm[name]
        if own["value"] is None:
            continue
        common, bounded = max(prevalence, 1 - prevalence), own["low"] is not None and own["high"] is not None
        rows.append({
            "source": "This model, " + origin, "task": task_title, "figure": word, "value": own["value"], "n": n,
            "prevalence": prevalence, "note": "",
            "interval": {"low": own["low"], "high": own["high"], "n": own["n"], "by": own["method"]} if bounded else own["why_not"],
            "verdict": "cannot be checked: no interval" if not bounded else _beats(own, common) if name == "accuracy" else "can be read",
        })  # fmt: skip
    return rows


def _beats(own: dict[str, Any], common: float) -> str:
    return "can be read" if own["low"] > common else f"not shown to beat always giving the commoner answer ({100 * common:.1f}\u00a0%)"
