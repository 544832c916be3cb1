"""The chair of the kinds: among those with the outcome, how likely is each kind.

Each kind has its own judges (this kind against the others). Their margins over their references are weighted alike for
every kind, each kind has its own offset, and a softmax makes shares of them. That is the additive chair with more than
two answers: every term still belongs to one input. Weights are drawn towards separate evidence as in fusion/chair.py, times
(K - 1) / K, because of two kinds each judge speaks twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.model_selection import StratifiedKFold

from salus_learn.fusion.chair import RIDGES, separate_evidence


@dataclass(frozen=True, slots=True)
class KindChair:
    """s_k = offset_k + sum over judges of weight_j * apart_kj; shares are softmax(s). weight (J,) >= 0, offset (K,)."""

    judges: tuple[str, ...]
    weight: np.ndarray
    offset: np.ndarray
    ridge: float

    def margins(self, apart: np.ndarray) -> np.ndarray:
        """s (n, K) from the judges' margins over their references (n, K, J)."""
        return self.offset + apart @ self.weight


def fit_kind_chair(judges: tuple[str, ...], apart: np.ndarray, kind: np.ndarray, *, seed: int) -> KindChair:
    """Fit on out-of-fold margins apart (n, K, J) of people with the outcome and their kind (n,) in 0..K-1.

    The ridge with the least log loss over inner folds is taken.
    """
    kinds = apart.shape[1]
    wanted = separate_evidence(judges) * (kinds - 1) / kinds
    ridge = _choose_ridge(apart, kind, wanted, seed)
    weight, offset = _solve(apart, kind, ridge, wanted)
    return KindChair(judges, weight, offset, ridge)


def _choose_ridge(apart: np.ndarray, kind: np.ndarray, wanted: np.ndarray, seed: int) -> float:
    folds = int(min(5, np.bincount(kind, minlength=apart.shape[1]).min()))
    if folds < 2:
        return RIDGES[-1]
    losses = np.zeros(len(RIDGES))
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(apart, kind):
        for at, ridge in enumerate(RIDGES):
            weight, offset = _solve(apart[train], kind[train], ridge, wanted)
            losses[at] += _loss(offset + apart[test] @ weight, kind[test])
    return RIDGES[int(losses.argmin())]


def _loss(s: np.ndarray, kind: np.ndarray) -> float:
    """Summed log loss of s (n, K)."""
    return float((logsumexp(s, axis=1) - s[np.arange(len(kind)), kind]).sum())


def _solve(apart: np.ndarray, kind: np.ndarray, ridge: float, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights >= 0 and offsets (summing to 0) that minimise log loss + ridge * |weight - wanted|^2."""
    n, kinds, judges = apart.shape
    seen = np.eye(kinds)[kind]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        weight, offset = values[:judges], values[judges:]
        s = offset + apart @ weight
        slope = softmax(s, axis=1) - seen  # (n, K)
        pull = weight - wanted
        # a faint pull on the offsets makes them unique: only their differences matter
        value = _loss(s, kind) + ridge * (pull @ pull) + 1e-3 * (offset @ offset)
        return value, np.append(np.einsum("nk,nkj->j", slope, apart) + 2 * ridge * pull, slope.sum(axis=0) + 2e-3 * offset)

    share = np.bincount(kind, minlength=kinds) / n
    start = np.append(wanted, np.log(np.clip(share, 1e-3, 1)))
    bounds = [(0.0, None)] * judges + [(None, None)] * kinds
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return found.x[:judges], found.x[judges:] - found.x[judges:].mean()
