"""The trees: XGBoost on the record, with its exact TreeSHAP contributions (Lundberg 2020)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xgboost
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.features.target import Target, fewest_people

# Small trees, slow learning and strong shrinkage: XGBoost's own defaults are over-confident on clinical tables.
GRID = (
    {"max_depth": 1, "eta": 0.08, "min_child_weight": 4.0},
    {"max_depth": 2, "eta": 0.04, "min_child_weight": 4.0},
    {"max_depth": 3, "eta": 0.03, "min_child_weight": 8.0},
)
ROUNDS = 400
PATIENCE = 30


@dataclass(frozen=True, slots=True)
class Trees:
    """A fitted booster and the value that TreeSHAP starts from: its margin, a mean over its leaves weighted by how many people each held."""

    booster: xgboost.Booster
    reference: float

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """phi (n, d + 1), the last column the bias; each row sums to the margin within 4e-6."""
        return self.booster.predict(xgboost.DMatrix(x), pred_contribs=True).astype(np.float64)

    def margins(self, x: np.ndarray) -> np.ndarray:
        """Margins (n,) in log odds: the sum of contributions, so that reasons and margin are one arithmetic."""
        return self.contributions(x).sum(axis=1)

    def quick_margins(self, x: np.ndarray) -> np.ndarray:
        """Margins (n,) without their parts, some 20 times faster; equal to `margins` within 1e-5."""
        return self.booster.predict(xgboost.DMatrix(x), output_margin=True).astype(np.float64)

    def to_file(self, path: Path) -> None:
        """Write XGBoost's own UBJSON."""
        self.booster.set_attr(reference=repr(self.reference))
        self.booster.save_model(path)

    @classmethod
    def from_file(cls, path: Path) -> Trees:
        """Read what `to_file` wrote."""
        booster = xgboost.Booster()
        booster.load_model(path)
        return cls(booster, float(booster.attr("reference") or 0.0))


@dataclass(frozen=True, slots=True)
class TreeShape:
    """What inner cross-validation chose: depth, rate, leaf weight and number of rounds."""

    settings: dict[str, float]
    rounds: int


def choose_shape(x: np.ndarray, target: Target, persons: np.ndarray, *, seed: int) -> TreeShape:
    """Depth and rounds by cross-validation over persons, on training people only."""
    folds = min(4, fewest_people(target.y, persons))
    if folds < 2:
        return TreeShape(dict(GRID[0]), 40)
    return _choose(x, target, persons, folds, seed)


def fit_trees(x: np.ndarray, target: Target, shape: TreeShape, *, seed: int) -> Trees:
    """Fit on training people. x (n, d) float with NaN for missing; the target of the same n."""
    booster = xgboost.train(
        _common(target, seed) | shape.settings, xgboost.DMatrix(x, _labels(target)), num_boost_round=shape.rounds
    )
    # TreeSHAP's own bias is the reference, so that contributions are apart from it by construction
    return Trees(booster, float(Trees(booster, 0.0).contributions(x[:1])[0, -1]))


def _labels(target: Target) -> np.ndarray:
    """What XGBoost wants: 0 and 1, or the time, negative where the outcome was not seen.

    Only the order of times counts. Day 0 has no sign, so it is put halfway to the first time after it."""
    if target.time is None:
        return target.y
    time = np.maximum(target.time, np.min(target.time[target.time > 0], initial=1.0) / 2)
    return np.where(target.y == 1, time, -time)


def _common(target: Target, seed: int) -> dict[str, object]:
    prior = float(np.clip(target.y.mean(), 1e-3, 1 - 1e-3))
    kind: dict[str, object] = {"objective": "binary:logistic", "base_score": prior, "eval_metric": "logloss"}
    if target.is_survival:
        kind = {"objective": "survival:cox", "base_score": 1.0, "eval_metric": "cox-nloglik"}
    return kind | {
        "subsample": 0.7, "colsample_bytree": 0.7,
        "reg_lambda": 5.0, "nthread": 1, "seed": seed, "tree_method": "hist", "max_bin": 64,
    }  # fmt: skip


def _choose(
    x: np.ndarray, target: Target, persons: np.ndarray, folds: int, seed: int
) -> TreeShape:
    """The grid entry and number of rounds with the least mean log loss on inner folds."""
    split = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    parts = list(split.split(x, target.y, persons))
    best: tuple[float, dict[str, float], int] = (np.inf, GRID[0], 40)
    for entry in GRID:
        found = xgboost.cv(
            _common(target, seed) | entry, xgboost.DMatrix(x, _labels(target)), num_boost_round=ROUNDS, folds=parts,
            early_stopping_rounds=PATIENCE, as_pandas=False,
        )  # fmt: skip
        loss = np.asarray(next(values for name, values in found.items() if name.startswith("test-") and name.endswith("-mean")))
        if loss.min() < best[0]:
            best = (float(loss.min()), entry, int(np.argmin(loss)) + 1)
    return TreeShape(dict(best[1]), best[2])
