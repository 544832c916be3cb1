"""Runs the encoder once over many images and keeps what the head needs. Fits nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.imaging.augment import mirrors_of
from salus_learn.imaging.encoder import BATCH, ServedEncoder
from salus_learn.imaging.gate import gate_features
from salus_learn.imaging.network import CHANNELS
from salus_learn.imaging.prepare import Box, prepared

Report = Callable[[float, str], None]
Mirrors = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Embedded:
    """One image after the encoder: `cells` (c², C) float32 row by row, the box they lie over, its slot and hash.

    `kind` (496,) is what the gate looks at, from the image as it is (not averaged with its mirrors), `spread` the
    standard deviation of its pixels in the encoder's scale.
    """

    slot: str
    cells: np.ndarray
    box: Box
    sha256: str
    image_id: str
    kind: np.ndarray
    spread: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """All images of all cases, and per case and slot the pooled features (n, S, C), NaN where absent."""

    images: list[list[Embedded]]
    pooled: np.ndarray
    slots: tuple[str, ...]

    @property
    def present(self) -> np.ndarray:
        """(n,) whether a case has any image."""
        return np.isfinite(self.pooled[:, :, 0]).any(axis=1)


def embed(
    cases: Sequence[Sequence[SnapshotImage]],
    specs: Sequence[ImageSpec],
    encoder: ServedEncoder,
    *,
    report: Report | None = None,
) -> Prepared:
    """Run the encoder over every image in batches; images are averaged with the mirrors their slot allows. An image that
    several cases share, as one and the same object, is run once."""
    by_name = {spec.name: spec for spec in specs}
    shown = [[image for image in images if image.slot in by_name] for images in cases]
    flat = list({id(image): image for images in shown for image in images}.values())
    read: dict[int, Embedded] = {}
    for start in range(0, len(flat), BATCH):
        chunk = flat[start : start + BATCH]
        ready = [prepared(image, by_name[image.slot]) for image in chunk]
        stacked = np.stack([pixels for pixels, _ in ready])
        maps = encoder.run(stacked)  # (B, C, c, c)
        kinds = [gate_features(_flat(one), pixels) for one, pixels in zip(maps, stacked, strict=True)]
        cells = _cells(maps, stacked, [mirrors_of(by_name[image.slot]) for image in chunk], encoder)
        for at, image in enumerate(chunk):
            read[id(image)] = Embedded(image.slot, cells[at], ready[at][1], image.sha256, image.id, kinds[at], float(stacked[at].std()))
        if report:
            report((start + len(chunk)) / len(flat), f"reading images, {start + len(chunk)} of {len(flat)}")
    found = [[read[id(image)] for image in images] for images in shown]
    return Prepared(found, _pool(found, tuple(by_name)), tuple(by_name))


def _flat(grid: np.ndarray) -> np.ndarray:
    """(C, c, c) as cells row by row (c², C)."""
    return grid.reshape(len(grid), -1).T


def _cells(maps: np.ndarray, pixels: np.ndarray, mirrors: list[Mirrors], encoder: ServedEncoder) -> np.ndarray:
    """(B, c², C): the maps' cells row by row, averaged over the image and the mirrors its slot allows."""
    total = maps.copy()
    for axes in sorted({axes for allowed in mirrors for axes in allowed}):
        at = np.flatnonzero([axes in allowed for allowed in mirrors])
        over = tuple(axis + 1 for axis in axes)
        total[at] += np.flip(encoder.run(np.ascontiguousarray(np.flip(pixels[at], over))), over)
    return np.stack([_flat(one / np.float32(1 + len(allowed))) for one, allowed in zip(total, mirrors, strict=True)])


def _pool(images: list[list[Embedded]], slots: tuple[str, ...]) -> np.ndarray:
    """Mean over cells, then over views of the same slot."""
    pooled = np.full((len(images), max(len(slots), 1), CHANNELS), np.nan)
    for case, found in enumerate(images):
        for at, slot in enumerate(slots):
            views = [image.cells.mean(axis=0, dtype=np.float64) for image in found if image.slot == slot]
            if views:
                pooled[case, at] = np.mean(views, axis=0)
    return pooled  # (n, S, C)
