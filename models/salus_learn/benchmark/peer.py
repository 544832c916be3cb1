"""What a peer is, and how it is asked: taught inside each outer fold, asked about the people outside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from salus_learn.benchmark.people import Asked, Everybody, Taught, inner_splits
from salus_learn.calibration.threshold import operating_threshold
from salus_learn.errors import TrainingError

Risks = Callable[[Asked], np.ndarray]
INNER_FOLDS = 3


@dataclass(frozen=True, eq=False)
class FittedPeer:
    """`risks` gives (n,) probabilities in [0, 1] of the outcome (by the horizon), NaN where the peer has nothing to look
    at; `threshold` flags from there on; `notes` is what was chosen, for the file."""

    risks: Risks
    threshold: float
    notes: dict[str, Any] = field(default_factory=dict)


class Peer(Protocol):
    """A plain model. `package` is the distribution it needs, `reads` the part of the patient it looks at (record or
    image), `how` one sentence on how it is fitted."""

    name: str
    package: str
    reads: str
    how: str

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Fit on these people and nothing else. `seconds` is what a peer without an end of its own may take."""


@dataclass(frozen=True, eq=False)
class PeerSheet:
    """What a peer said of n cases it had not seen: probabilities (n,), NaN where silent; flagged (n,) bool at its own
    operating point; wall seconds over all folds; the notes of each fold."""

    probabilities: np.ndarray
    flagged: np.ndarray
    seconds: float
    notes: list[dict[str, Any]]


def out_of_fold(peer: Peer, people: Everybody, *, seed: int, seconds: float) -> PeerSheet:
    """Teach the peer inside every outer fold and ask it about the people outside."""
    n, began = len(people.folds), time.monotonic()
    probabilities, flagged, notes = np.full(n, np.nan), np.zeros(n, dtype=bool), []
    for inside, outside in people.splits():
        fitted = peer.fit(people.taught.take(inside), seed=seed, seconds=seconds)
        risks = np.asarray(fitted.risks(people.taught.asked.take(outside)), dtype=np.float64)
        known = risks[np.isfinite(risks)]
        if risks.shape != outside.shape or ((known < 0) | (known > 1)).any():
            raise TrainingError(f"The peer {peer.name} did not give one probability per case.")
        probabilities[outside] = risks
        flagged[outside] = risks >= fitted.threshold
        notes.append(fitted.notes)
    return PeerSheet(probabilities, flagged, time.monotonic() - began, notes)


def inner_threshold(taught: Taught, fit: Callable[[Taught], Risks], *, seed: int) -> float:
    """The operating point by the task's rule, on risks of training people by models that have not seen the person."""
    risks = np.full(len(taught.persons), np.nan)
    for inside, outside in inner_splits(taught, INNER_FOLDS, seed=seed):
        risks[outside] = fit(taught.take(inside))(taught.asked.take(outside))
    return threshold_of(taught, risks)


def threshold_of(taught: Taught, risks: np.ndarray) -> float:
    """The task's operating point on risks (n,) of those whose outcome is known; 0.5 where one outcome is missing."""
    known = taught.known()
    counted = np.isfinite(risks) & np.isfinite(known)
    if len(np.unique(known[counted])) < 2:
        return 0.5
    return operating_threshold(risks[counted], known[counted], taught.task.threshold_rule, taught.task.threshold_target)
