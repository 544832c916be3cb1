"""Films as light from 0 to 1, made smaller where they are larger than the encoder needs, and put back as they came."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.imaging.prepare import Box, prepared

LARGEST = 2  # across the square that the model looks at, in times the pixels that it is shown
LEAST_SIDE = 8  # a smaller film is refused
MOST_PIXELS = 1_000_000
Light = (
    np.ndarray
)  # (H, W) or (H, W, 3) float32, 0 the darkest and 1 the brightest of its scale; may reach outside


def looked_at(image: SnapshotImage, spec: ImageSpec) -> Box:
    """The square that is cut for the encoder (left, top, right, bottom), in pixels; may reach outside the image.

    Raises SnapshotError where the image cannot be used at all.
    """
    return prepared(image, spec)[1]


def reduced(image: SnapshotImage, spec: ImageSpec) -> SnapshotImage:
    """The film with at most twice the encoder's pixels across what the model looks at.

    A large film with a small marked region is cut to the region's surroundings first. What is measured compares reduced
    films with reduced films, so that only the change counts.
    """
    height, width = np.asarray(image.pixels).shape[:2]
    if image.region is not None and height * width > MOST_PIXELS:
        image = cut(image, _surroundings(looked_at(image, spec)))
    left, _, right, _ = looked_at(image, spec)
    factor = LARGEST * spec.side / (right - left)
    return _smaller(image, factor) if factor < 1 else image


def _surroundings(box: Box) -> Box:
    """Half a side more on every edge."""
    grow = (box[2] - box[0]) // 2
    return box[0] - grow, box[1] - grow, box[2] + grow, box[3] + grow


def cut(image: SnapshotImage, box: Box) -> SnapshotImage:
    """What of the film lies inside the box (half-open, in pixels); a marked region moves with it.

    The whole film where less than 8 pixels would be left: that would be refused.
    """
    left, top, right, bottom = (max(edge, 0) for edge in box)
    kept = np.asarray(image.pixels)[top:bottom, left:right]
    if min(kept.shape[:2]) < LEAST_SIDE:
        return image
    region = image.region
    if region is not None:
        region = replace(
            region,
            left=region.left - left,
            right=region.right - left,
            top=region.top - top,
            bottom=region.bottom - top,
        )
    return replace(image, pixels=kept, region=region)


def _smaller(image: SnapshotImage, factor: float) -> SnapshotImage:
    """Scaled by a factor under 1, averaging what falls together."""
    height, width = np.asarray(image.pixels).shape[:2]
    size = max(LEAST_SIDE, round(width * factor)), max(LEAST_SIDE, round(height * factor))
    region = image.region
    if region is not None:
        region = replace(
            region, left=math.floor(region.left * factor), top=math.floor(region.top * factor),
            right=math.ceil(region.right * factor), bottom=math.ceil(region.bottom * factor),
        )  # fmt: skip
    return replace(
        changed(image, lambda light: by_channel(light, lambda one: one.resize(size, Image.Resampling.BOX))),
        region=region,
    )


def changed(image: SnapshotImage, change: Callable[[Light], Light]) -> SnapshotImage:
    """The film with its light changed, in the type of pixels it had.

    Of 8 bits, 1 is the brightest value there can be; of 16 bits, where films use a part of the scale, 0 and 1 are the
    bounds of the window in which it is shown.
    """
    pixels = np.asarray(image.pixels)
    low, high = (0.0, 255.0) if pixels.dtype == np.uint8 else np.percentile(pixels[::4, ::4], [0.5, 99.5])
    scale = max(float(high - low), 1.0)
    light = change(((pixels.astype(np.float32) - np.float32(low)) / np.float32(scale)).astype(np.float32))
    most = np.iinfo(pixels.dtype).max
    return replace(image, pixels=np.clip(np.rint(light * scale + low), 0, most).astype(pixels.dtype))


def by_channel(light: Light, change: Callable[[Image.Image], Image.Image]) -> Light:
    """The same change of a grey film, or of each colour of a photograph."""
    if light.ndim == 2:
        return np.asarray(change(Image.fromarray(light)), dtype=np.float32)
    return np.stack([by_channel(light[..., colour], change) for colour in range(light.shape[2])], axis=2)
