"""Decoded pixels as grey or as red, green, blue, whatever an object kept its colours as. Pure."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, convert_color_space


def grey_or_rgb(pixels: np.ndarray, dataset: Dataset) -> tuple[np.ndarray, str]:
    """(H, W) with the object's own photometric interpretation, or (H, W, 3) and "RGB". Raises what pydicom raises."""
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        colours = apply_color_lut(pixels, dataset)
        return (colours >> 8 if colours.dtype == np.uint16 else colours)[..., :3], "RGB"
    if pixels.ndim < 3:
        return pixels, photometric
    if photometric.startswith("YBR") and photometric not in {"YBR_RCT", "YBR_ICT"}:
        pixels = convert_color_space(pixels, photometric, "RGB")
    return pixels, "RGB"
