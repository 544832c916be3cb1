"""Decoded pixels to the three renditions kept beside an instance. Pure."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

DISPLAY_SIDE, THUMBNAIL_SIDE = 1024, 96


def renditions(pixels: np.ndarray, *, is_padded: bool = False) -> list[dict[str, Any]]:
    """`model` (NPY of the pixels), `display` and `thumbnail` (PNG, 8 bit) with their sizes.

    pixels: (H, W) uint8 or uint16 with bright = dense, or (H, W, 3) uint8. Where it is padded, black is no part of the picture.
    """
    stream = io.BytesIO()
    np.save(stream, pixels, allow_pickle=False)
    height, width = pixels.shape[:2]
    out = [{"kind": "model", "width": width, "height": height, "bytes": stream.getvalue()}]
    picture = Image.fromarray(eight_bit(pixels, is_padded=is_padded))
    for kind, side in (("display", DISPLAY_SIDE), ("thumbnail", THUMBNAIL_SIDE)):
        small = picture.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        stream = io.BytesIO()
        small.save(stream, "PNG")
        out.append({"kind": kind, "width": small.width, "height": small.height, "bytes": stream.getvalue()})
    return out


def eight_bit(pixels: np.ndarray, *, is_padded: bool = False) -> np.ndarray:
    """uint8 for the eye: wider integers from their 0.5th to their 99.5th percentile."""
    if pixels.dtype == np.uint8:
        return pixels
    low, high = np.percentile(pixels[pixels > 0] if is_padded and pixels.any() else pixels, [0.5, 99.5])
    return (np.clip((pixels.astype(np.float32) - low) / max(high - low, 1.0), 0, 1) * 255).astype(np.uint8)
