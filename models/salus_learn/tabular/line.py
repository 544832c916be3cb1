"""The line: ridge logistic (or Cox) regression on standardised columns with indicators of what is missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from salus_learn.features.target import Target, choose_strength, ridge_fit

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Line:
    """m = bias + sum of weight * z. Columns: the schema's, then one missing indicator for each.

    `owner` says which schema column each weight belongs to.
    """

    centre: np.ndarray
    scale: np.ndarray
    fill: np.ndarray
    weight: np.ndarray
    missing_weight: np.ndarray
    missing_rate: np.ndarray
    bias: float
    strength: float

    def terms(self, x: np.ndarray) -> np.ndarray:
        """Per column contributions (n, d) around the training mean: they sum to margin - reference."""
        missing = np.isnan(x)
        z = (np.where(missing, self.fill, x) - self.centre) / self.scale  # (n, d)
        return z * self.weight + (missing - self.missing_rate) * self.missing_weight

    @property
    def reference(self) -> float:
        """Mean margin of the training population."""
        return self.bias

    def margins(self, x: np.ndarray) -> np.ndarray:
        """Margins (n,) in log odds."""
        return self.bias + self.terms(x).sum(axis=1)

    def to_file(self, path: Path) -> None:
        """Write as JSON."""
        body = {name: getattr(self, name).tolist() for name in _ARRAYS} | {"bias": self.bias, "strength": self.strength}
        path.write_text(json.dumps(body))

    @classmethod
    def from_file(cls, path: Path) -> Line:
        """Read what `to_file` wrote."""
        body = json.loads(path.read_text())
        return cls(**{name: np.array(body[name]) for name in _ARRAYS}, bias=float(body["bias"]), strength=float(body["strength"]))


_ARRAYS = ("centre", "scale", "fill", "weight", "missing_weight", "missing_rate")


def _design(x: np.ndarray, fill: np.ndarray, centre: np.ndarray, scale: np.ndarray, rate: np.ndarray) -> np.ndarray:
    missing = np.isnan(x)
    return np.hstack([(np.where(missing, fill, x) - centre) / scale, missing - rate])  # (n, 2d)


def fit_line(
    x: np.ndarray, target: Target, persons: np.ndarray, *, seed: int, strength: float | None = None
) -> Line:
    """Fit on training people; without `strength` the ridge is chosen by inner cross-validation over persons.

    x (n, d) with NaN for missing, the target and persons (ids) of the same n. For time to an event the margins are log
    hazards over the training mean's.
    """
    fill = np.array([np.nanmedian(c) if np.isfinite(c).any() else 0.0 for c in x.T]) if x.shape[1] else np.zeros(0)
    filled = np.where(np.isnan(x), fill, x)
    centre, scale = filled.mean(axis=0), filled.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    rate = np.isnan(x).mean(axis=0)
    design = _design(x, fill, centre, scale, rate)
    if strength is None:
        strength = choose_strength(design, target, persons, STRENGTHS, seed=seed)
    weight, bias = ridge_fit(design, target, strength)
    width = x.shape[1]
    return Line(centre, scale, fill, weight[:width], weight[width:], rate, bias, strength)
