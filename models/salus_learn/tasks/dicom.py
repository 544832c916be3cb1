"""The pixels of a DICOM object, for case tables and for the door alike: one film is the same pixels however it came in."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, get_decoder
from pydicom.uid import ParametricMapStorage, RTDoseStorage, SegmentationStorage

from salus_learn.errors import CaseError

LARGEST_PIXELS = 100_000_000
NO_PICTURE = {
    str(RTDoseStorage): "doses of radiation", str(SegmentationStorage): "marked regions", str(ParametricMapStorage): "computed values",
}  # fmt: skip


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
        if why := unfit(dataset):
            raise CaseError(f"{where} cannot be an image of a case. {why}")
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
        pixels, photometric = first_frame(dataset)
        if photometric == "RGB":
            return np.ascontiguousarray(pixels), ""
        is_byte = int(dataset.BitsStored) == 8
        return _grey(_rescaled(pixels, dataset), photometric == "MONOCHROME1", _padding(pixels, dataset), is_byte=is_byte), ""
    except Exception as error:  # noqa: BLE001 - decoders raise anything; the reason is kept and shown
        return None, f"No decoder here could decode the pixels ({words_of(error)})."


def unfit(dataset: Dataset) -> str:
    """Why no model may look at the picture, though people may: one frame of several, or no picture of a body at all; else empty."""
    frames, what = int(dataset.get("NumberOfFrames") or 1), NO_PICTURE.get(str(dataset.get("SOPClassUID", "")), "")
    if what:
        return f"It holds {what} and no picture of a body, so no model looks at it."
    return "No model looks at one frame of several." if frames > 1 else ""


def _area(dataset: Dataset) -> int:
    """Pixels of one frame; 0 where the object has none."""
    return int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0)


def first_frame(dataset: Dataset) -> tuple[np.ndarray, str]:
    """(H, W) as stored with the object's own photometric interpretation, or (H, W, 3) uint8 and "RGB". Raises what pydicom raises."""
    # not left to a default: YBR_FULL and YBR_FULL_422 come as RGB, and what came is said
    pixels, said = get_decoder(dataset.file_meta.TransferSyntaxUID).as_array(dataset, index=0, raw=False)
    photometric = str(dataset.PhotometricInterpretation)
    if photometric == "PALETTE COLOR":
        return _of_palette(pixels, dataset), "RGB"
    if pixels.ndim < 3:
        return pixels, photometric
    if str(said["photometric_interpretation"]) not in {"RGB", "YBR_RCT", "YBR_ICT"}:  # the last two are RGB once decoded
        raise ValueError(f"colours as {photometric} are not read here")
    if pixels.max() > 255:
        pixels = np.clip(pixels >> max(int(dataset.BitsStored) - 8, 0), 0, 255)
    return pixels.astype(np.uint8), "RGB"


def _of_palette(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """(H, W, 3) uint8. Some write a palette of 16 bits with 8-bit values: what is no brighter than 255 anywhere is taken as that."""
    colours = apply_color_lut(pixels, dataset)[..., :3]
    if colours.dtype != np.uint16:
        return colours
    entries, first, _ = (int(number) for number in dataset.RedPaletteColorLookupTableDescriptor)
    table = apply_color_lut(np.arange(first, first + (entries or 65_536)), dataset)[..., :3]
    return (colours if table.max() <= 255 else colours >> 8).astype(np.uint8)


def _padding(pixels: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """(H, W) bool: what is no part of the picture (PS3.3, C.7.5.1.1.2); None where the object pads nothing, or nothing else is there."""
    if dataset.get("PixelPaddingValue") is None:
        return None
    bits, is_signed = int(dataset.BitsAllocated), pixels.dtype.kind == "i"
    ends: list[int] = []
    for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"):
        if (value := dataset.get(keyword)) is not None:
            bare = int(value) & ((1 << bits) - 1)  # some write it as of the other sign
            ends.append(bare - (1 << bits) if is_signed and bare >> (bits - 1) else bare)
    padding = (pixels >= min(ends)) & (pixels <= max(ends))
    return padding if padding.any() and not padding.all() else None


def _rescaled(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Values after the modality's rescaling. A slope with decimals only names another unit: whole steps stay as they were stored."""
    slope = float(dataset.get("RescaleSlope") or 1)
    if "ModalityLUTSequence" not in dataset and not slope.is_integer():
        return pixels.astype(np.float64) * math.copysign(1, slope)
    return np.asarray(apply_modality_lut(pixels, dataset), dtype=np.float64)


def _grey(values: np.ndarray, inverted: bool, padding: np.ndarray | None, *, is_byte: bool) -> np.ndarray:
    """Whole-number grey from 0; values keep their steps where they fit into 16 bits. Padding counts for nothing and is black.

    Only what was stored in 8 bits is given in 8: of wider values the range in use is looked for, of 8 bits it is not, and a narrow
    one would be nearly black.
    """
    values = values - (values if padding is None else values[~padding]).min()
    top = (values if padding is None else values[~padding]).max()
    if top > 65_535:
        values = values * (65_535 / top)
        top = (values if padding is None else values[~padding]).max()
    grey = np.round(top - values if inverted else values)
    if padding is not None:
        grey[padding] = 0
    return grey.astype(np.uint8 if is_byte and grey.max() <= 255 else np.uint16)


def words_of(error: Exception) -> str:
    """What went wrong in one short line."""
    return f"{error.__class__.__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"[:200]
