"""What the figures say in a sentence each, no further than their intervals carry."""

from __future__ import annotations

from typing import Any

from scipy.stats import norm

from salus_learn.contracts import JUDGES
from salus_learn.evaluation.metrics import Z95
from salus_learn.reporting.words import (
    ARM_WORDS,
    NOT_APPLICABLE,
    number,
    people,
    percent,
    sentence,
    span,
)


def verdicts(report: dict[str, Any]) -> list[str]:
    """Sentences with a mark in front: • shown, ◐ cannot tell, ✕ against it or not measured."""
    return [
        _order(report), _fusion(report), _calibrated(report), _promise(report), _benefit(report), _groups(report),
        _missing(report),
    ]  # fmt: skip


def _order(report: dict[str, Any]) -> str:
    area = report["arms"]["fused"]["auroc"]
    if area["value"] is None:
        return f"✕ Ranking: {area['why_not']}."
    if area["low"] is None:
        return f"◐ Ranking: cannot be told from chance. AUROC {number(area['value'])}, {area['why_not']} (n {people(area['n'])})."
    mark, word = ("•", "better than chance") if area["low"] > 0.5 else ("◐", "not shown to beat chance")
    return f"{mark} Ranking: {word}. AUROC {sentence('auroc', area)}."


def _fusion(report: dict[str, Any]) -> str:
    singles = [arm for arm in JUDGES if arm in report["arms"]]
    if len(singles) == 1:
        return f"– Fusion: none. There is one arm, {ARM_WORDS[singles[0]]}; the risk is that arm's, calibrated."
    pairs = [row for row in report["differences"] if row["auroc"]["value"] is not None]
    if not pairs:
        return "✕ Fusion: not measured, there is no single arm beside it."
    row = min(pairs, key=lambda row: row["auroc"]["value"])
    own = row["auroc"]
    words = f"AUROC {'+' if own['value'] > 0 else ''}{number(own['value'])} ({span('auroc', own)}, n {people(own['n'])})"
    best = f"its closest rival, {ARM_WORDS[row['arm']]}"
    if own["low"] is not None and own["low"] > 0:
        return f"• Fusion: better than {best}. {words}."
    if own["high"] is not None and own["high"] < 0:
        return f"✕ Fusion: worse than {best}. {words}."
    return f"◐ Fusion: not shown to differ from {best}. {words}."


def _calibrated(report: dict[str, Any]) -> str:
    fused = report["arms"]["fused"]
    slope, intercept = fused["calibration_slope"], fused["calibration_intercept"]
    if slope["low"] is None or intercept["low"] is None:
        return "◐ Calibration: cannot tell."
    faults = []
    if not slope["low"] <= 1 <= slope["high"]:
        faults.append("over-confident" if slope["value"] < 1 else "under-confident")
    if not intercept["low"] <= 0 <= intercept["high"]:
        faults.append("risks too low on the whole" if intercept["value"] > 0 else "risks too high on the whole")
    words = f"Slope {sentence('calibration_slope', slope)}, intercept {sentence('calibration_intercept', intercept)}."
    if report["task"]["lost"]:
        words += f" {people(report['task']['lost'])} cases lost before the horizon are not counted, so observed shares lean high."
    return f"✕ Calibration: {' and '.join(faults)}. {words}" if faults else f"• Calibration: no fault shown. {words}"


def _promise(report: dict[str, Any]) -> str:
    body = report["coverage"]
    words = [("with the outcome", body["with_outcome"]), ("without it", body["without_outcome"])]
    if any(figure["value"] is None for _, figure in words):
        return "◐ 90 % sets: cannot tell, there is nobody of one outcome."
    under = [word for word, figure in words if figure["high"] < body["promise"]]
    said = "; ".join(f"{word} {sentence('coverage', figure)}" for word, figure in words)
    if under:
        return f"✕ 90 % sets: the promise is broken for those {' and '.join(under)}. Held: {said}."
    return f"• 90 % sets: the promise is not shown to be broken. Held: {said}."


def _benefit(report: dict[str, Any]) -> str:
    curve = report["decision"]
    good = [t for t, low in zip(curve["t"], curve["gain_sure"], strict=True) if low > 0]
    if not good:
        return f"◐ Use: at no threshold shown to be better than acting on everybody or nobody (n {people(curve['n'])})."
    ranges: list[list[float]] = []
    for t in good:
        if ranges and t - ranges[-1][1] < 0.015:
            ranges[-1][1] = t
        else:
            ranges.append([t, t])
    said = ", ".join(percent(a, 0) if a == b else f"{100 * a:.0f} to {percent(b, 0)}" for a, b in ranges)
    return f"• Use: better than acting on everybody or nobody for who acts at a risk of {said} (n {people(curve['n'])})."


def _groups(report: dict[str, Any]) -> str:
    rows = report["subgroups"]["rows"]
    overall = report["arms"]["fused"]["auroc"]["value"]
    judged = [row for row in rows if row["state"] == "computed" and row["auroc"]["high"] is not None]
    if not judged or overall is None:
        return f"◐ Subgroups: {len(rows)} looked at, none large enough to judge." if rows else "✕ Subgroups: not measured."
    low = [f"{row['group']} {row['value']}" for row in judged if _highest(row["auroc"], len(judged)) < overall]
    few = len(rows) - len(judged)
    tail = f" {few} of {len(rows)} too few to judge." if few else f" {len(rows)} looked at."
    if low:
        return f"✕ Subgroups: AUROC below everybody's for {', '.join(low)}.{tail}"
    return f"• Subgroups: none shown to have a lower AUROC than everybody.{tail}"


def _highest(area: dict[str, Any], groups: int) -> float:
    """The upper bound for one of so many groups that are looked at (Bonferroni): of twenty like groups one lies outside its 95 %."""
    return area["value"] + (area["high"] - area["value"]) * float(norm.ppf(1 - 0.025 / groups)) / Z95


def _missing(report: dict[str, Any]) -> str:
    parts = report["extra"]
    absent = [part.replace("_", " ") for part, body in parts.items() if not _is_measured(body) and body.get("state") != NOT_APPLICABLE]
    if not absent:
        return "• All further checks were measured."
    return f"✕ Not measured: {', '.join(absent)}."


def _is_measured(part: dict[str, Any]) -> bool:
    """Rows that only describe are not a measurement."""
    return part.get("state") != "described" and bool(part.get("rows") or part.get("series"))
