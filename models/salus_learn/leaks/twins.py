"""Near-duplicate images: fingerprints, pairs, and people joined by them. Knows nothing of tables.

A fingerprint is a 256-bit difference hash (Krawetz 2013); a pair within 12 bits counts only when the fine detail of the
two also correlates: films of one projection share hash and shades, but not the grain and edges of one person. Steps of
less than three shades are no step, or the noise of a black border fills the hash. The detail must correlate as it is and
with its steepest fifth cut to one height, or the rim that all fundus photographs share outweighs the vessels of one eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

SIDE = 16
SMALL = 64
BITS_APART = 12
CORRELATED = 0.93
NO_STEP = 2
STEEPEST = 0.8
_BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Prints:
    """bits (n, 256) of 0 and 1 as float32; detail (n, 4096) standardised fine detail of small grey copies."""

    bits: np.ndarray
    detail: np.ndarray


@dataclass(frozen=True, slots=True)
class Pair:
    """Two images (positions) that look the same: how many bits differ and how their fine detail correlates."""

    first: int
    second: int
    bits_apart: int
    correlation: float


def fingerprint(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bits (256,) and standardised fine detail (4096,) of an image (H, W) or (H, W, 3), any integer depth."""
    grey = pixels if pixels.ndim == 2 else pixels[..., :3].mean(axis=2)
    top = float(grey.max()) or 1.0
    picture = Image.fromarray((grey.astype(np.float32) * (255.0 / top)).astype(np.uint8))
    wide = np.asarray(picture.resize((SIDE + 1, SIDE), Image.Resampling.BOX), dtype=np.int16)
    small = np.asarray(picture.resize((SMALL, SMALL), Image.Resampling.BOX), dtype=np.float32)
    detail = (small - uniform_filter(small, 5, mode="nearest")).ravel()
    spread = float(detail.std())
    return (wide[:, 1:] > wide[:, :-1] + NO_STEP).ravel().astype(np.float32), (detail - detail.mean()) / (spread or 1.0)


def prints_of(images: Sequence[np.ndarray]) -> Prints:
    """Fingerprints of many images."""
    found = [fingerprint(pixels) for pixels in images]
    if not found:
        return Prints(np.zeros((0, SIDE * SIDE), np.float32), np.zeros((0, SMALL * SMALL), np.float32))
    return Prints(np.stack([bits for bits, _ in found]), np.stack([detail for _, detail in found]))


def near_duplicates(prints: Prints) -> list[Pair]:
    """Every pair that looks the same. Bits are compared as a matrix product, a thousand images at a time."""
    pairs = []
    ones = prints.bits.sum(axis=1)
    for start in range(0, len(ones), _BLOCK):
        block = prints.bits[start : start + _BLOCK]
        apart = ones[start : start + _BLOCK, None] + ones[None, :] - 2 * block @ prints.bits.T  # (b, n)
        for a, second in zip(*np.nonzero(apart <= BITS_APART), strict=True):
            first = start + int(a)
            if first >= second:
                continue
            alike = _alike(prints.detail[first], prints.detail[second])
            if alike >= CORRELATED:
                pairs.append(Pair(first, int(second), round(float(apart[a, second])), alike))
    return pairs


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """The lower of two correlations, in [-1, 1], of standardised detail (4096,): as it is, and with the steepest cut."""
    whole = float(one @ other) / one.size
    if whole < CORRELATED:
        return whole
    cut = [np.clip(detail, -steep, steep) for detail in (one, other) for steep in (np.quantile(np.abs(detail), STEEPEST),)]
    if min(detail.std() for detail in cut) == 0:
        return whole
    return min(whole, float(np.corrcoef(cut[0], cut[1])[0, 1]))


def joined_people(persons: np.ndarray, owner: np.ndarray, pairs: Sequence[Pair]) -> np.ndarray:
    """persons (n,) ids with those who share a near-duplicate image made one; owner (m,) is each image's case."""
    parent = {int(one): int(one) for one in np.unique(persons)}

    def root(one: int) -> int:
        while parent[one] != one:
            one = parent[one]
        return one

    for pair in pairs:
        a, b = root(int(persons[owner[pair.first]])), root(int(persons[owner[pair.second]]))
        parent[max(a, b)] = min(a, b)
    return np.array([root(int(one)) for one in persons])
