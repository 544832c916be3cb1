"""Plain picture files of a case table: pixels, hash and marked regions."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from salus_learn.contracts import Region
from salus_learn.errors import CaseError

LONGEST_SIDE_PIXELS = 20_000
Image.MAX_IMAGE_PIXELS = 200_000_000


def picture(path: Path, where: str) -> tuple[np.ndarray, str]:
    """Pixels of a JPEG or PNG: (H, W) uint8/uint16 grey or (H, W, 3) uint8; and the file's sha256."""
    raw = path.read_bytes()
    try:
        with Image.open(path) as image:
            image.load()
            pixels = _pixels(image)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise CaseError(f"{where}: {path.name} cannot be read as an image ({error}).") from None
    return pixels, hashlib.sha256(raw).hexdigest()


def _pixels(image: Image.Image) -> np.ndarray:
    """Grey stays grey; equal channels become grey; everything else RGB."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L"))
    rgb = np.asarray(image.convert("RGB"))
    if (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all():
        return np.ascontiguousarray(rgb[..., 0])
    return rgb


def mask_region(mask_path: Path, image_path: Path, where: str) -> Region:
    """The box around a mask's non-zero pixels, in pixels of the image it marks."""
    try:
        with Image.open(mask_path) as mask, Image.open(image_path) as image:
            marked, size = np.asarray(mask.convert("L")) > 0, image.size
    except (UnidentifiedImageError, OSError) as error:
        raise CaseError(f"{where}: {mask_path.name} cannot be read as a mask ({error}).") from None
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if rows.size == 0:
        raise CaseError(f"{where}: the mask {mask_path.name} marks nothing.")
    across, down = size[0] / marked.shape[1], size[1] / marked.shape[0]
    return Region(
        int(columns[0] * across), int(rows[0] * down), int((columns[-1] + 1) * across), int((rows[-1] + 1) * down),
        marked_by="mask",
    )  # fmt: skip


def text_region(text: str, where: str) -> Region:
    """A box written as `left, top, width, height` in pixels."""
    try:
        left, top, width, height = (int(float(part)) for part in text.replace(",", " ").split())
    except ValueError:
        raise CaseError(f"{where}: “{text}” is not a box (left, top, width, height in pixels).") from None
    if width <= 0 or height <= 0 or left < 0 or top < 0:
        raise CaseError(f"{where}: the box “{text}” is empty or outside the image.")
    return Region(left, top, left + width, top + height, marked_by="box")
