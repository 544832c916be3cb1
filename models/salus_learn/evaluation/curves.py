"""Calibration by tenths of people and the spread of risks, for a model report, in parts of eleven people and more."""

from __future__ import annotations

from typing import Any

import numpy as np

from salus_learn.evaluation.figures import figure
from salus_learn.evaluation.metrics import proportion_wilson
from salus_learn.evaluation.subgroups import LEAST_SHOWN


def shared_ends(p: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """Risks beyond what 11 people reach set to that, at both ends (top and bottom coding; Hundepool et al., "Statistical
    Disclosure Control", 2012, ch. 3), so that a curve of them parts off nobody alone. All one value of fewer than 22 people.

    p: (n,); persons: (n,)."""
    _, who = np.unique(persons, return_inverse=True)
    lows, highs = np.full(who.max() + 1, np.inf), np.full(who.max() + 1, -np.inf)
    np.minimum.at(lows, who, p)
    np.maximum.at(highs, who, p)
    if len(lows) < LEAST_SHOWN:
        return np.full(len(p), p.mean())
    low, high = np.sort(lows)[LEAST_SHOWN - 1], np.sort(highs)[-LEAST_SHOWN]
    return np.clip(p, low, high) if low <= high else np.full(len(p), p.mean())


def calibration_bins(y: np.ndarray, p: np.ndarray, persons: np.ndarray | None = None, bins: int = 10) -> list[dict[str, Any]]:
    """Mean risk given and share that came, in tenths by risk, or in fewer parts of at least 11 people each; equal risks are never
    parted, and no part says where it begins or ends, for that is a single person's risk.

    y: (n,) 0 and 1; p: (n,) in [0, 1]; persons: (n,), each their own unless given. The share has Wilson's interval."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    at = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(0, len(edges) - 2))
    at = _merged(at, np.arange(len(p)) if persons is None else persons)
    rows = []
    for number in np.unique(at):
        inside = at == number
        n, came = int(inside.sum()), int(y[inside].sum())
        rows.append({
            "n": n, "events": came, "predicted": round(float(p[inside].mean()), 6),
            "observed": figure(proportion_wilson(came, n), n, "Wilson"),
        })  # fmt: skip
    return rows


def _merged(at: np.ndarray, persons: np.ndarray) -> np.ndarray:
    """Parts (n,) taken together from the lowest on until each holds at least 11 people; what is left joins the last."""
    merged, whole, held = np.zeros_like(at), 0, np.zeros(len(at), bool)
    for part in np.unique(at):
        held |= at == part
        merged[at == part] = whole
        if len(np.unique(persons[held])) >= LEAST_SHOWN:
            whole, held = whole + 1, np.zeros(len(at), bool)
    return np.minimum(merged, max(whole - 1, 0))


def risk_histogram(y: np.ndarray, p: np.ndarray, bins: int = 20) -> dict[str, Any]:
    """How many people were given which risk, with and without the outcome; edges (bins + 1,) in [0, 1]."""
    edges = np.linspace(0, 1, bins + 1)
    return {
        "edges": edges.round(4).tolist(),
        "with": np.histogram(p[y == 1], edges)[0].tolist(),
        "without": np.histogram(p[y == 0], edges)[0].tolist(),
    }
