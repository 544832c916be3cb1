"""Pixels to the encoder's input. Remembers which box of the original image the map will lie over."""

from __future__ import annotations

import numpy as np
from PIL import Image

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.errors import SnapshotError

Box = tuple[int, int, int, int]


def prepared(image: SnapshotImage, spec: ImageSpec) -> tuple[np.ndarray, Box]:
    """(3, S, S) float32 in [-1, 1], S the slot's side, and the square box (left, top, right, bottom) it was cut from.

    The box may reach outside the image, where it is padded with the image's darkest value. Accepts
    (H, W) uint8 or uint16 and (H, W, 3) uint8; anything else raises SnapshotError.
    """
    pixels = np.asarray(image.pixels)
    if pixels.ndim not in (2, 3) or min(pixels.shape[:2]) < 8 or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise SnapshotError(f"{image.source}: an image of shape {pixels.shape} cannot be used.")
    box = _square(pixels, image, spec)
    small = _cut(_eight_bit(pixels, image.source), box, spec.side)  # (S, S[, 3])
    if small.ndim == 2:
        small = np.repeat(small[..., None], 3, axis=2)
    scaled = (small.astype(np.float32) - 127.0) / 128.0
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)), box  # (3, S, S)


def _square(pixels: np.ndarray, image: SnapshotImage, spec: ImageSpec) -> Box:
    """The square around the marked region with its margin, or around the whole image."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    if image.region is not None:
        region = image.region
        grow = spec.region_margin * max(region.right - region.left, region.bottom - region.top)
        left, right = int(region.left - grow), int(region.right + grow)
        top, bottom = int(region.top - grow), int(region.bottom + grow)
    side = max(right - left, bottom - top, 8)
    left, top = (left + right - side) // 2, (top + bottom - side) // 2
    return left, top, left + side, top + side


def _eight_bit(pixels: np.ndarray, source: str) -> np.ndarray:
    """uint8 as it is; wider integers by a window from the 0.5th to the 99.5th percentile of every 4th pixel."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype != np.uint16:
        raise SnapshotError(f"{source}: pixels of type {pixels.dtype} cannot be used.")
    low, high = np.percentile(pixels[::4, ::4], [0.5, 99.5])
    table = (np.arange(65_536, dtype=np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.clip(table, 0, 255).astype(np.uint8)[pixels]


def _cut(pixels: np.ndarray, box: Box, shown: int) -> np.ndarray:
    """The square, padded where it reaches outside, resized to so many pixels across."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box
    inner = pixels[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
    if inner.size == 0:
        inner = pixels
    side = max(right - left, 1)
    canvas = np.full((side, side, *pixels.shape[2:]), inner.min(), dtype=np.uint8)
    y, x = max(-top, 0), max(-left, 0)
    canvas[y : y + inner.shape[0], x : x + inner.shape[1]] = inner
    picture = Image.fromarray(canvas)
    return np.asarray(picture.resize((shown, shown), Image.Resampling.BILINEAR, reducing_gap=2.0))
