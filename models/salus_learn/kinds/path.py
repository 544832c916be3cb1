"""Reasons for the risk of one kind, by integrating along the straight path from the reference to the patient.

The risk of kind k is P_k = sigmoid(m) * softmax(s)_k: of any kind, times the kind's share. The Aumann–Shapley value of an
input (Aumann and Shapley 1974; Sundararajan 2017) is the integral of the slope along the path times what the input adds
to m and to each s. Gauss–Legendre with 16 points on stretches in which no margin moves by more than 2 is exact to
rounding, because the nearest poles of these functions lie pi away from the path.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, softmax

from salus_learn.errors import ExplanationError

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_STRETCH = 2.0
_MOVED_AT_MOST = 2e4


def kind_probabilities(margin: np.ndarray, s: np.ndarray) -> np.ndarray:
    """P (n, K) from the margin of any kind (n,) and the kinds' margins s (n, K); they sum to sigmoid(margin)."""
    return expit(margin)[:, None] * softmax(s, axis=1)


def path_factors(start: float, end: float, s_start: np.ndarray, s_end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What one unit of m (K,) and of each s_j (K, K: kind, j) adds to each P_k on the way. Factors of probability.

    Raises ExplanationError where a margin moves by more than 20,000: nothing that a record can hold does that."""
    moved = max(abs(end - start), float(np.ptp(s_end - s_start)))
    if not moved <= _MOVED_AT_MOST:
        raise ExplanationError("An input lies so far from all that taught the model that the reasons of the kinds cannot be added up.")
    stretches = max(1, math.ceil(moved / _STRETCH))
    edges = np.arange(stretches) / stretches
    t = (edges[:, None] + (_NODES + 1) / 2 / stretches).ravel()  # (T,) in 0..1
    weight = np.tile(_WEIGHTS / 2 / stretches, stretches)  # (T,), sums to 1
    p = expit(start + t * (end - start))  # (T,)
    q = softmax(s_start + t[:, None] * (s_end - s_start), axis=1)  # (T, K)
    of_margin = (weight * p * (1 - p)) @ q  # (K,)
    # dq_k / ds_j = q_k (1[k = j] - q_j)
    weighted = (weight * p)[:, None] * q
    of_kinds = np.diag(weighted.sum(axis=0)) - weighted.T @ q
    return of_margin, of_kinds
