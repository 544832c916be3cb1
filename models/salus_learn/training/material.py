"""What a model is fitted from: all cases, read and embedded once. Fits nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import RiskTask
from salus_learn.features.readings import Reading
from salus_learn.features.target import Target
from salus_learn.imaging.embed import Prepared
from salus_learn.imaging.head import ImageHead


@dataclass(frozen=True, slots=True)
class Material:
    """All cases, ready: readings, embedded images, the target and persons (integer ids).

    With a tuned encoder `tuned_head` is its image judge and `honest` (n,) says for whom that judge's margin was not
    taught; both are None with a frozen encoder, where the head is fitted with the other judges. Where the task names
    kinds, `kinds` (n,) is each case's, -1 for none, and `kind_heads` are a tuned encoder's judges of them. Where a tuned
    encoder was taught by everybody, `image_apart` (n,) and `kinds_apart` (n, K) are the margins over their references of
    encoders who were not: those that a chair may believe.
    """

    task: RiskTask
    readings: Sequence[tuple[Reading, ...]]
    prepared: Prepared | None
    target: Target
    persons: np.ndarray
    tuned_head: ImageHead | None = None
    honest: np.ndarray | None = None
    kinds: np.ndarray | None = None
    kind_heads: tuple[ImageHead, ...] = ()
    image_apart: np.ndarray | None = None
    kinds_apart: np.ndarray | None = None

    @property
    def y(self) -> np.ndarray:
        """(n,) whether the outcome was seen: for splitting people evenly, never for figures."""
        return self.target.y
