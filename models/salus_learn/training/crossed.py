"""What the folds' tuned encoders say of people they were not taught by: what the model on everybody learns its chair from.

With it the last encoder is taught by everybody, and its chair, intervals, sets and thresholds rest on everybody too. Figures never
rest on it: a fold's own model is fitted inside that fold alone.
"""

from __future__ import annotations

import numpy as np

from salus_learn.store.model import Model
from salus_learn.training.material import Material


class Crossed:
    """Of n cases, NaN where an image is absent or nobody was asked: `apart` (n,) image margins over their fold's reference,
    `kinds` (n, K) the same of each kind, and `distance` (n,) how unlike a fold's teachers the image is. `passes` is how often
    the folds looked at each image: the last encoder does the same, so that it is no surer than they were."""

    def __init__(self, cases: int, kinds: int) -> None:
        self.apart = np.full(cases, np.nan)
        self.kinds = np.full((cases, kinds), np.nan)
        self.distance = np.full(cases, np.nan)
        self.passes: int | None = None

    def note(self, model: Model, material: Material, outside: np.ndarray, *, passes: int) -> None:
        """Enter what one fold's model says of the people `outside` it, by the material of that fold."""
        self.passes = max(passes, self.passes or 0)
        if model.head is None or material.prepared is None:
            return
        self.apart[outside] = model.head.margins(material.prepared, outside) - model.head.reference
        self.distance[outside] = model.head.distances(material.prepared, outside)
        for at, head in enumerate(material.kind_heads):
            self.kinds[outside, at] = head.margins(material.prepared, outside) - head.reference

    @property
    def far(self) -> np.ndarray:
        """The distances that are known, (k,) with k up to n."""
        return self.distance[np.isfinite(self.distance)]
