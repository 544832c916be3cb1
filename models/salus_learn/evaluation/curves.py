"""Calibration by tenths of people and the spread of risks, for a model report."""

from __future__ import annotations

from typing import Any

import numpy as np

from salus_learn.evaluation.figures import figure
from salus_learn.evaluation.metrics import proportion_wilson


def calibration_bins(y: np.ndarray, p: np.ndarray, bins: int = 10) -> list[dict[str, Any]]:
    """Mean risk given and share that came, in tenths of people by risk; equal risks are never parted.

    y: (n,) 0 and 1; p: (n,) in [0, 1]. The share has Wilson's interval; fewer bins come back where risks tie."""
    edges = np.unique(np.quantile(p, np.linspace(0, 1, bins + 1)))
    at = np.clip(np.searchsorted(edges, p, side="right") - 1, 0, max(0, len(edges) - 2))
    rows = []
    for number in np.unique(at):
        inside = at == number
        n, came = int(inside.sum()), int(y[inside].sum())
        rows.append({
            "n": n, "events": came, "predicted": round(float(p[inside].mean()), 6),
            "from": round(float(p[inside].min()), 6), "to": round(float(p[inside].max()), 6),
            "observed": figure(proportion_wilson(came, n), n, "Wilson"),
        })  # fmt: skip
    return rows


def risk_histogram(y: np.ndarray, p: np.ndarray, bins: int = 20) -> dict[str, Any]:
    """How many people were given which risk, with and without the outcome; edges (bins + 1,) in [0, 1]."""
    edges = np.linspace(0, 1, bins + 1)
    return {
        "edges": edges.round(4).tolist(),
        "with": np.histogram(p[y == 1], edges)[0].tolist(),
        "without": np.histogram(p[y == 0], edges)[0].tolist(),
    }
