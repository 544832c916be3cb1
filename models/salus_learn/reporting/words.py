"""Figures as read: no false digits, the interval beside, n under it, and words where there is no number."""

from __future__ import annotations

from typing import Any

from salus_learn.evaluation.subgroups import LEAST_SHOWN
from salus_learn.reporting.blocks import Cell

ARM_WORDS = {
    "line": "record, line", "trees": "record, trees", "image": "image", "fused": "fused",
    "fused_spoken": "fused, where it does not abstain",
}  # fmt: skip
FIGURE_WORDS = {
    "auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier score", "calibration_slope": "calibration slope",
    "calibration_intercept": "calibration intercept", "sensitivity": "sensitivity", "specificity": "specificity",
    "ppv": "PPV", "npv": "NPV", "accuracy": "accuracy",
}  # fmt: skip
NOT_APPLICABLE = "not applicable"  # the state of an extra part that this task cannot have
SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "coverage", "abstained")


def percent(share: float, digits: int = 1) -> str:
    """A share as per cent, its sign never on the next line."""
    return f"{100 * share:.{digits}f}\u00a0%"


def number(value: float, digits: int = 3) -> str:
    """A number with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def shown(name: str, value: float) -> str:
    """A figure of that name as read."""
    return percent(value) if name in SHARES else number(value)


def span(name: str, figure: dict[str, Any]) -> str:
    """The interval as read, "not computable" where there is none."""
    if figure["low"] is None or figure["high"] is None:
        return "interval not computable"
    if name in SHARES:
        return f"{100 * figure['low']:.1f}–{100 * figure['high']:.1f}"
    return f"{number(figure['low'])} to {number(figure['high'])}"


def cell(name: str, figure: dict[str, Any], *, method: bool = False) -> Cell:
    """Figure, interval and n in one cell; the reason in words where there is no number."""
    if figure["value"] is None:
        return Cell("✕ " + figure.get("why_not", "not computable"), f"n {people(figure['n'])}", quiet=True)
    tail = f", {figure['method']}" if method else ""
    return Cell(shown(name, figure["value"]), f"{span(name, figure)} · n {people(figure['n'])}{tail}")


def sentence(name: str, figure: dict[str, Any]) -> str:
    """A figure inside a sentence."""
    if figure["value"] is None:
        return str(figure.get("why_not", "not computable"))
    return f"{shown(name, figure['value'])} ({span(name, figure)}, n {people(figure['n'])})"


def people(n: int) -> str:
    """A count with thin spaces between thousands."""
    return f"{n:,}".replace(",", "\u202f")


def lost_said(task: dict[str, Any]) -> str:
    """What those lost before the horizon do to the figures; empty where nobody was."""
    if not task["lost"]:
        return ""
    return (
        f"{people(task['lost'])} cases were lost before {task['horizon_days']:g} days without the outcome and are not judged. Those "
        "with an early outcome are, so observed shares lean high, and the risks look lower beside them than they are."
    )


def guarded(n: int | None) -> str:
    """A count of a small group; under eleven it is not given out."""
    return f"under {LEAST_SHOWN}" if n is None else people(n)
