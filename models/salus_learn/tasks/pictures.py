"""Plain picture files of a case table: pixels, hash and marked regions."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from salus_learn.contracts import Region
from salus_learn.errors import CaseError
from salus_learn.tasks.dicom import dicom_picture, dicom_size, is_dicom
from salus_learn.tasks.regions import outline_of

LONGEST_SIDE_PIXELS = 20_000
Image.MAX_IMAGE_PIXELS = 200_000_000
BEYOND = 0.05  # a box drawn by hand may reach so far over the edge, as a share of the side
STRETCHED = 0.02  # a mask whose pixels are less square than that, over its image, is made square before it is measured


def picture(path: Path, where: str) -> tuple[np.ndarray, str]:
    """Pixels of a JPEG, PNG, TIFF or DICOM object, upright: (H, W) uint8/uint16 grey or (H, W, 3) uint8; and the file's sha256.

    Refused, as it would be read wrongly and in silence: several pictures in one file, grey with decimals or of more than 16 bits,
    colours of 16, a picture that is transparent all over. One that is so in part is laid on white, as a page shows it.
    """
    raw = path.read_bytes()
    if is_dicom(path):
        return dicom_picture(raw, f"{where}: {path.name}"), hashlib.sha256(raw).hexdigest()
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a telephone's MPO has a preview beside the picture
                raise CaseError(f"{where}: {path.name} holds {image.n_frames} pictures, and a cell names one.")  # type: ignore[attr-defined]
            _check_depth(image, f"{where}: {path.name}")
            image.load()
            pixels = _pixels(ImageOps.exif_transpose(image), f"{where}: {path.name}")
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise CaseError(f"{where}: {path.name} cannot be read as an image ({error}).") from None
    return pixels, hashlib.sha256(raw).hexdigest()


def _check_depth(image: Image.Image, where: str) -> None:
    """Refuse 16 bits a colour, of which Pillow keeps 8 without a word: where few of the 16 are used, next to nothing is left."""
    stored = [part for tile in getattr(image, "tile", ()) for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    if not image.mode.startswith("I") and any(isinstance(part, str) and ";16" in part for part in stored):
        raise CaseError(f"{where} has colours, or transparency, of 16 bits. Save it with 8 bits for each colour, or as grey.")


def _on_white(image: Image.Image, where: str) -> Image.Image:
    """The picture as a white page shows it, where some of it is transparent."""
    with_alpha = image.convert("RGBA")
    alpha = np.asarray(with_alpha)[..., 3]
    if alpha.min() == 255:
        return image.convert("RGB")
    if alpha.max() == 0:
        raise CaseError(f"{where} is transparent all over, so there is nothing to see. Save it without transparency.")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), with_alpha).convert("RGB")


def _pixels(image: Image.Image, where: str) -> np.ndarray:
    """Grey stays grey; equal channels become grey; everything else RGB."""
    if image.mode in {"I", "F"}:
        return _sixteen_bits(np.asarray(image), where)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.has_transparency_data:
        image = _on_white(image, where)
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L"))
    rgb = np.asarray(image.convert("RGB"))
    if (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all():
        return np.ascontiguousarray(rgb[..., 0])
    return rgb


def _sixteen_bits(grey: np.ndarray, where: str) -> np.ndarray:
    """Grey of 32 bits as uint16, where it is whole numbers that fit."""
    if grey.dtype.kind == "f" or grey.min() < 0 or grey.max() > np.iinfo(np.uint16).max:
        raise CaseError(f"{where} has decimals, or grey values outside 0 to 65535. Save it with 8 or 16 whole bits for each pixel.")
    return grey.astype(np.uint16)


def mask_region(mask_path: Path, image_path: Path, where: str) -> Region:
    """The box around a mask's non-zero pixels, in pixels of the image it marks, and what their outline measures."""
    try:
        with Image.open(mask_path) as mask:
            drawn = mask.convert("L")
    except (UnidentifiedImageError, OSError) as error:
        raise CaseError(f"{where}: {mask_path.name} cannot be read as a mask ({error}).") from None
    size = _marked_size(image_path, where)
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


def _marked_size(path: Path, where: str) -> tuple[int, int]:
    """Pixels across and down of a picture that is marked. It must lie as it is stored, or a mark could be meant either way up."""
    if is_dicom(path):
        return dicom_size(path, f"{where}: {path.name}")
    try:
        with Image.open(path) as image:
            orientation, size = image.getexif().get(ExifTags.Base.Orientation, 1), image.size
    except (UnidentifiedImageError, OSError) as error:
        raise CaseError(f"{where}: {path.name} cannot be read as an image ({error}).") from None
    if orientation not in {0, 1}:
        raise CaseError(f"{where}: {path.name} was taken with the camera turned, and nobody can say which way up it was marked. Save it upright.")
    return size


def text_region(text: str, image_path: Path, where: str) -> Region:
    """A box written as `left, top, width, height` in pixels of the image."""
    try:
        left, top, width, height = (int(float(part)) for part in text.replace(",", " ").split())
    except ValueError:
        raise CaseError(f"{where}: “{text}” is not a box (left, top, width, height in pixels).") from None
    if width <= 0 or height <= 0 or left < 0 or top < 0:
        raise CaseError(f"{where}: the box “{text}” is empty or outside the image.")
    across, down = _marked_size(image_path, where)
    if left + width > (1 + BEYOND) * across or top + height > (1 + BEYOND) * down:
        raise CaseError(f"{where}: the box “{text}” reaches outside {image_path.name}, which has {across} × {down} pixels; was it drawn on a larger copy?")
    return Region(left, top, left + width, top + height, marked_by="box")
