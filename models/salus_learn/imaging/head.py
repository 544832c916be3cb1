"""The linear head on pooled features, and the exact class activation that follows from it.

m_I = bias + sum over slots, views and cells of w . (f_u - centre); nothing is approximated (Zhou 2016 for the
idea of class activation under global average pooling).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from salus_learn.features.target import Target, choose_strength, ridge_fit
from salus_learn.imaging.directions import leading_directions
from salus_learn.imaging.embed import Embedded, Prepared
from salus_learn.imaging.network import CHANNELS, MID_CHANNELS

COMPONENTS = 64
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
UNUSUAL_QUANTILE = 0.995


@dataclass(frozen=True, slots=True)
class ImageHead:
    """`weight` (S, C) and `centre` (S, C) act on pooled features; `basis` (K, S*C) and `spread` (K,) measure how unlike training an image is."""

    slots: tuple[str, ...]
    weight: np.ndarray
    centre: np.ndarray
    bias: float
    scale: np.ndarray
    basis: np.ndarray
    spread: np.ndarray
    unusual_above: float
    strength: float

    @property
    def reference(self) -> float:
        """Mean margin of the training population (its pooled mean is the centre)."""
        return self.bias

    def margins(self, prepared: Prepared, index: np.ndarray | None = None) -> np.ndarray:
        """Margins (n,), NaN where a case has no image; a missing slot stands at its training mean."""
        pooled = prepared.pooled if index is None else prepared.pooled[index]
        margins = self.bias + np.nan_to_num(self.by_slot(prepared, index)).sum(axis=1)
        return np.where(np.isfinite(pooled[:, :, 0]).any(axis=1), margins, np.nan)

    def by_slot(self, prepared: Prepared, index: np.ndarray | None = None) -> np.ndarray:
        """What each slot adds to the margin (n, S), NaN where it is missing; over the slots they sum to margin - reference."""
        pooled = prepared.pooled if index is None else prepared.pooled[index]
        return np.einsum("nsc,sc->ns", pooled - self.centre, self.weight)

    def cells(self, images: Sequence[Embedded]) -> list[np.ndarray]:
        """Per image a (c, c) map of margin over the training mean; over all images they sum to margin - reference."""
        maps = []
        for image in images:
            at = self.slots.index(image.slot)
            views = sum(other.slot == image.slot for other in images)
            flat = (image.cells.astype(np.float64) - self.centre[at]) @ self.weight[at] / (len(image.cells) * views)
            maps.append(flat.reshape((math.isqrt(len(flat)),) * 2))
        return maps

    def distances(self, prepared: Prepared, index: np.ndarray | None = None) -> np.ndarray:
        """Root mean squared standardised distance (n,) along the training components; NaN without image."""
        pooled = prepared.pooled if index is None else prepared.pooled[index]
        z = (np.nan_to_num(pooled - self.centre) / self.scale).reshape(len(pooled), -1)
        along = (z @ self.basis.T) / self.spread
        distance = np.sqrt((along**2).mean(axis=1))
        return np.where(np.isfinite(pooled[:, :, 0]).any(axis=1), distance, np.nan)

    def to_file(self, path: Path) -> None:
        """Write as safetensors."""
        arrays = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float64) for name in _ARRAYS}
        arrays["scalars"] = np.array([self.bias, self.unusual_above, self.strength])
        save_file(arrays, path, metadata={"slots": "\n".join(self.slots)})

    @classmethod
    def from_file(cls, path: Path, slots: tuple[str, ...]) -> ImageHead:
        """Read what `to_file` wrote; the task gives the slots."""
        arrays = load_file(path)
        bias, unusual, strength = (float(value) for value in arrays.pop("scalars"))
        return cls(slots=slots, bias=bias, unusual_above=unusual, strength=strength, **arrays)


_ARRAYS = ("weight", "centre", "scale", "basis", "spread")


def fit_head(
    prepared: Prepared, index: np.ndarray, target: Target, persons: np.ndarray, *, seed: int, strength: float | None = None
) -> ImageHead:
    """Fit on the cases `index` (those with an image); target and persons are of all cases.

    Features are standardised, projected on the training components, and a ridge regression (logistic or Cox) is
    fitted there; its strength comes from inner folds by person. All of it is linear, so it folds into one weight.
    """
    index = index[prepared.present[index]]
    pooled = prepared.pooled[index]  # (n, S, C)
    centre = np.nan_to_num(np.nanmean(pooled, axis=0))
    scale = np.nan_to_num(np.nanstd(pooled, axis=0)) + 1e-3
    z = (np.nan_to_num(pooled - centre) / scale).reshape(len(index), -1)  # (n, S*C)
    components = int(min(COMPONENTS, len(index) - 1))
    singular, basis = leading_directions(z, components)  # (K,), (K, S*C)
    spread = singular / np.sqrt(len(index)) + 1e-9
    along = z @ basis.T  # (n, K)
    unit = float(spread.mean()) or 1.0
    if strength is None:
        strength = choose_strength(along / unit, target.take(index), persons[index], STRENGTHS, seed=seed)
    slope, bias = ridge_fit(along / unit, target.take(index), strength)
    weight = (slope / unit @ basis).reshape(centre.shape) / scale
    distance = np.sqrt(((along / spread) ** 2).mean(axis=1))
    return ImageHead(
        prepared.slots, weight, centre, bias, scale, basis, spread,
        float(np.quantile(distance, UNUSUAL_QUANTILE) * 1.5), strength,
    )  # fmt: skip


def tuned_head(
    prepared: Prepared, teachers: np.ndarray, kept: np.ndarray, weight: np.ndarray, bias: float,
    *, far: np.ndarray | None = None,
) -> ImageHead:
    """The head of a tuned encoder: its own classifier (weight (1280,) on the last maps), shared by all slots.

    The reference and the directions of distance come from those who taught it; how far is too far comes from `kept`,
    who did not, because a tuned encoder holds its own people closer than strangers. Where nobody was kept, `far` are
    the distances of people whom encoders like this one had not seen.
    """
    teachers, kept = teachers[prepared.present[teachers]], kept[prepared.present[kept]]
    pooled = prepared.pooled[teachers]  # (n, S, C)
    centre = np.nan_to_num(np.nanmean(pooled, axis=0))
    scale = np.nan_to_num(np.nanstd(pooled, axis=0)) + 1e-3
    z = (np.nan_to_num(pooled - centre) / scale).reshape(len(teachers), -1)  # (n, S*C)
    components = int(min(COMPONENTS, len(teachers) - 1))
    singular, basis = leading_directions(z, components)
    shared = _shared(weight, pooled.shape[1])
    head = ImageHead(
        prepared.slots, shared, centre, bias + float((shared * centre).sum()), scale, basis,
        singular / np.sqrt(len(teachers)) + 1e-9, np.inf, 0.0,
    )  # fmt: skip
    if far is None or not len(far):
        far = head.distances(prepared, kept if len(kept) else teachers)
    return replace(head, unusual_above=float(np.quantile(far, UNUSUAL_QUANTILE) * 1.5))


def other_answer(head: ImageHead, weight: np.ndarray, bias: float) -> ImageHead:
    """A tuned encoder's head for another question (weight (1280,) on the last maps): same centre and distances."""
    shared = _shared(weight, len(head.centre))
    return replace(head, weight=shared, bias=bias + float((shared * head.centre).sum()))


def _shared(weight: np.ndarray, slots: int) -> np.ndarray:
    """(S, C): the weight on the last maps, shared by the slots."""
    last = np.zeros(CHANNELS)
    last[MID_CHANNELS:] = weight / slots
    return np.tile(last, (slots, 1))
