"""The pixels of a DICOM object, for case tables and for the door alike: one film is the same pixels however it came in."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, convert_color_space

from salus_learn.errors import CaseError

LARGEST_PIXELS = 100_000_000


def is_dicom(path: Path) -> bool:
    """Whether a file says that it is a DICOM object (PS3.10, 7.1)."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def dicom_picture(raw: bytes, where: str) -> np.ndarray:
    """The one picture of an object, as `decoded` gives it. Raises CaseError where there is none or more than one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = _read(io.BytesIO(raw), where)
        if "PixelData" not in dataset:
            raise CaseError(f"{where} is a DICOM object without a picture.")
        try:
            frames, _ = int(dataset.get("NumberOfFrames") or 1), _area(dataset)
        except Exception as error:  # noqa: BLE001 - a size that is no number
            raise CaseError(f"{where} has a tag that cannot be read: {words_of(error)}.") from None
        if frames > 1:
            raise CaseError(f"{where} holds {frames} pictures, and a cell names one.")
        pixels, problem = decoded(dataset)
    if pixels is None:
        raise CaseError(f"{where} cannot be read as an image: {problem}")
    return pixels


def dicom_size(path: Path, where: str) -> tuple[int, int]:
    """Pixels across and down; (0, 0) where it holds no picture."""
    words = dicom_words(path, where, ("Columns", "Rows"))
    return int(words["Columns"] or 0), int(words["Rows"] or 0)


def dicom_words(path: Path, where: str, tags: Sequence[str]) -> dict[str, str]:
    """What the header says under these keywords (PS3.6), "" where it says nothing; pixels stay on the disk. Raises CaseError."""
    with warnings.catch_warnings(), path.open("rb") as stream:
        warnings.simplefilter("ignore")
        dataset = _read(stream, where, header_only=True)
        try:
            return {tag: str(dataset.get(tag, "") or "").strip() for tag in tags}
        except Exception as error:  # noqa: BLE001 - values are read only now, and anything may be wrong with them
            raise CaseError(f"{where} has a tag that cannot be read: {words_of(error)}.") from None


def _read(stream: BinaryIO, where: str, *, header_only: bool = False) -> Dataset:
    try:
        return pydicom.dcmread(stream, stop_before_pixels=header_only)
    except Exception as error:  # noqa: BLE001 - the reader raises anything
        raise CaseError(f"{where} cannot be read as DICOM: {words_of(error)}.") from None


def decoded(dataset: Dataset) -> tuple[np.ndarray | None, str]:
    """The first frame as (H, W) uint8/uint16, bright = dense, or (H, W, 3) uint8; or the reason why not."""
    if _area(dataset) > LARGEST_PIXELS:
        return None, "The image is larger than 100 million pixels."
    try:
        pixels = dataset.pixel_array
        if int(dataset.get("NumberOfFrames") or 1) > 1:
            pixels = pixels[0]
        pixels, photometric = grey_or_rgb(pixels, dataset)
        if photometric == "RGB":
            return np.ascontiguousarray(pixels.astype(np.uint8)), ""
        values = np.asarray(apply_modality_lut(pixels, dataset), dtype=np.float64)
        return _grey(values, photometric == "MONOCHROME1"), ""
    except Exception as error:  # noqa: BLE001 - decoders raise anything; the reason is kept and shown
        return None, f"No decoder here could decode the pixels ({words_of(error)})."


def _area(dataset: Dataset) -> int:
    """Pixels of one frame; 0 where the object has none."""
    return int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)


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


def _grey(values: np.ndarray, inverted: bool) -> np.ndarray:
    """Whole-number grey from 0; values keep their steps where they fit into 16 bits."""
    values = values - values.min()
    if values.max() > 65_535:
        values = values * (65_535 / values.max())
    grey = np.round(values.max() - values if inverted else values)
    return grey.astype(np.uint8 if grey.max() <= 255 else np.uint16)


def words_of(error: Exception) -> str:
    """What went wrong in one short line."""
    return f"{error.__class__.__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"[:200]
