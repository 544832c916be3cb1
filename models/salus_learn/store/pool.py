"""The patients like this one: rows of training people kept with a model, without names, to ask what a missing value might have been."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Pool:
    """x (n, d) columns of the model's schema, NaN where missing; image (n,) the image judge's margin over its
    reference by a judge that had not seen the person, NaN without an image. With several image slots, slots (n, S): what each
    adds to the image margin of the model itself, NaN where it is missing."""

    x: np.ndarray
    image: np.ndarray
    slots: np.ndarray | None = None

    def like(self, row: np.ndarray, candidates: np.ndarray, k: int) -> np.ndarray:
        """The k of `candidates` (indices) most like a row (d,): mean squared standardised difference over what is
        known of the row; what the other does not have counts as one standard deviation apart."""
        known = np.flatnonzero(np.isfinite(row))
        if not known.size:
            return candidates[:k]
        with np.errstate(invalid="ignore"):
            spread = np.nan_to_num(np.nanstd(self.x[:, known], axis=0)) + 1e-9
        apart = ((self.x[np.ix_(candidates, known)] - row[known]) / spread) ** 2
        return candidates[np.argsort(np.where(np.isfinite(apart), apart, 1.0).mean(axis=1), kind="stable")[:k]]

    def to_file(self, path: Path) -> None:
        """Write as safetensors."""
        arrays = {"x": self.x, "image": self.image} | ({} if self.slots is None else {"slots": self.slots})
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)

    @classmethod
    def from_file(cls, path: Path) -> Pool:
        """Read what `to_file` wrote."""
        return cls(**load_file(path))


def draw_pool(x: np.ndarray, image: np.ndarray, slots: np.ndarray | None = None, *, persons: np.ndarray, seed: int) -> Pool:
    """One row of each of at most 500 people, drawn at random: x (n, d), image (n,), slots (n, S), persons (n,). Of somebody
    with several cases one counts, or thirty patients like this one would be a few, seen often."""
    order = np.random.default_rng(seed).permutation(len(x))
    _, first = np.unique(persons[order], return_index=True)
    rows = order[np.sort(first)][:MOST_ROWS]
    return Pool(x[rows].astype(np.float64), image[rows].astype(np.float64), None if slots is None else slots[rows].astype(np.float64))
