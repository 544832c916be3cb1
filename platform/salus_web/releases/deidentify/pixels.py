"""Pixels of an image, decoded and written plainly: no comments of a compressed stream, no letters in unused bits, no padding."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from salus_learn.tasks.dicom import first_frame


def clean_pixels(came: Dataset, left: Dataset) -> None:
    """Sets the pixels of `left` and all that describes them. Raises what decoders raise."""
    pixels, photometric = first_frame(came)
    if photometric not in {"RGB", "MONOCHROME1", "MONOCHROME2"}:
        raise ValueError("pixels of an unknown kind")
    is_signed, stored = False, 8
    if photometric != "RGB":
        is_signed, stored = bool(int(came.PixelRepresentation)), int(came.BitsStored)
        pixels = _within(pixels, stored, is_signed)
    kind = np.dtype(f"<{'i' if is_signed else 'u'}{1 if stored <= 8 else 2 if stored <= 16 else 4}")
    left.Rows, left.Columns = (int(side) for side in pixels.shape[:2])
    left.SamplesPerPixel, left.PhotometricInterpretation = 3 if pixels.ndim == 3 else 1, photometric
    if pixels.ndim == 3:
        left.PlanarConfiguration = 0
    left.BitsAllocated, left.BitsStored, left.HighBit = kind.itemsize * 8, stored, stored - 1
    left.PixelRepresentation = int(is_signed)
    body = np.ascontiguousarray(pixels.astype(kind)).tobytes()
    left.PixelData = body + b"\0" * (len(body) % 2)
    left["PixelData"].VR = "OB" if kind.itemsize == 1 else "OW"


def _within(pixels: np.ndarray, stored: int, is_signed: bool) -> np.ndarray:
    """The bits that are the image's; those above held letters once (overlays in the unused bits, retired in PS3.3-2004)."""
    whole = pixels.astype(np.int64) & ((1 << stored) - 1)
    return np.where(whole >> (stored - 1), whole - (1 << stored), whole) if is_signed else whole
