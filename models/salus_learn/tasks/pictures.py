"""Plain picture files of a case table: pixels, hash and marked regions."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from salus_learn.contracts import Region
from salus_learn.errors import CaseError
from salus_learn.tasks.regions import outline_of

LONGEST_SIDE_PIXELS = 20_000
Image.MAX_IMAGE_PIXELS = 200_000_000
STRETCHED = 0.02  # a mask whose pixels are less square than that, over its image, is made square before it is measured


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
    """The box around a mask's non-zero pixels, in pixels of the image it marks, and what their outline measures."""
    try:
        with Image.open(mask_path) as mask, Image.open(image_path) as image:
            drawn, size = mask.convert("L"), image.size
    except (UnidentifiedImageError, OSError) as error:
        raise CaseError(f"{where}: {mask_path.name} cannot be read as a mask ({error}).") from None
    marked = np.asarray(drawn) > 0
    rows, columns = np.flatnonzero(marked.any(axis=1)), np.flatnonzero(marked.any(axis=0))
    if rows.size == 0:
        raise CaseError(f"{where}: the mask {mask_path.name} marks nothing.")
    across, down = size[0] / marked.shape[1], size[1] / marked.shape[0]
    if not math.isclose(across, down, rel_tol=STRETCHED):
        # as fine as its coarser side: enlarged, an edge would get steps that nobody drew
        fine = min(1 / across, 1 / down)
        square = (max(1, round(size[0] * fine)), max(1, round(size[1] * fine)))
        marked = np.asarray(Image.fromarray(marked.astype(np.uint8) * 255).resize(square, Image.Resampling.BOX)) >= 128
    # a mark too thin to be left has a box and no outline
    solidity, roundness = outline_of(marked) if marked.any() else (None, None)
    return Region(
        int(columns[0] * across), int(rows[0] * down), int((columns[-1] + 1) * across), int((rows[-1] + 1) * down),
        marked_by="mask", solidity=solidity, roundness=roundness,
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
