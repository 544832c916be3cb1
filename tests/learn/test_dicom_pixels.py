"""What becomes of stored pixels: colours as they were, grey with all its steps, padding that counts for nothing, ordinary films as ever."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
    RTDoseStorage,
)
from salus_learn.errors import CaseError
from salus_learn.tasks.dicom import decoded, dicom_picture, unfit

from tests.factories.films import dicom

GREY = np.random.default_rng(5).integers(0, 4096, (48, 64)).astype(np.uint16)
TWELVE = {"BitsStored": 12, "HighBit": 11}
STEPS = np.tile(np.arange(64, dtype=np.uint16) * 64, (64, 1))
RED = np.full((32, 32, 3), (200, 50, 20), np.uint8)


def read(raw: bytes) -> np.ndarray:
    return dicom_picture(raw, "a.dcm")


def as_read(pixels: np.ndarray, **tags: object) -> np.ndarray:
    return read(dicom(pixels, **tags))


def with_body(body: bytes, syntax: str, **tags: object) -> np.ndarray:
    """The red picture with a compressed body."""
    made = pydicom.dcmread(io.BytesIO(dicom(RED, **tags)))
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([body])
    made["PixelData"].VR = "OB"
    return saved(made)


def saved(made: pydicom.Dataset) -> np.ndarray:
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return read(stream.getvalue())


def packed(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(RED).save(stream, kind, **options)
    return stream.getvalue()


def in_luminance() -> np.ndarray:
    return np.asarray(Image.fromarray(RED).convert("YCbCr"))


def halved() -> bytes:
    """YBR_FULL_422 as it lies in a file: two pixels share their colour."""
    pairs = in_luminance().reshape(32, 16, 2, 3)
    return np.stack([pairs[:, :, 0, 0], pairs[:, :, 1, 0], pairs[:, :, 0, 1], pairs[:, :, 0, 2]], -1).tobytes()


def run_length() -> np.ndarray:
    made = pydicom.dcmread(io.BytesIO(dicom(in_luminance(), PhotometricInterpretation="YBR_FULL")))
    made.compress(RLELossless)
    return saved(made)


def palette(scale: int) -> np.ndarray:
    """Grey of 16 bits by a palette: `scale` 257 uses all of them, 1 the lower eight only."""
    table = (np.arange(256) * scale).astype("<u2").tobytes()
    tags: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        tags |= {f"{colour}PaletteColorLookupTableDescriptor": [256, 0, 16], f"{colour}PaletteColorLookupTableData": table}
    return as_read(RED[..., 0], **tags)


COLOURS = {
    "RGB": lambda: as_read(RED),
    "YBR_FULL": lambda: as_read(in_luminance(), PhotometricInterpretation="YBR_FULL"),
    "YBR_FULL_422": lambda: as_read(RED, PhotometricInterpretation="YBR_FULL_422", PixelData=halved()),
    "RLE": run_length,
    "JPEG": lambda: with_body(packed("JPEG", quality=95, subsampling=0), JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL"),
    "JPEG with half the colour": lambda: with_body(packed("JPEG", quality=95, subsampling=1), JPEGBaseline8Bit, PhotometricInterpretation="YBR_FULL_422"),
    "reversible": lambda: with_body(packed("JPEG2000", mct=1, irreversible=False, no_jp2=True), JPEG2000, PhotometricInterpretation="YBR_RCT"),
    "irreversible": lambda: with_body(packed("JPEG2000", mct=1, irreversible=True, no_jp2=True), JPEG2000, PhotometricInterpretation="YBR_ICT"),
}


@pytest.mark.parametrize("made", COLOURS.values(), ids=COLOURS.keys())
def test_a_red_picture_is_red_however_it_was_stored(made: object) -> None:
    pixels = made()  # type: ignore[operator]
    assert pixels.shape == RED.shape and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - RED).max() <= 3


def test_colours_of_16_bits_keep_their_order() -> None:
    ramp = np.stack([STEPS * 16, STEPS * 8, STEPS * 4], -1)
    assert np.array_equal(as_read(ramp), ramp >> 8)
    assert np.array_equal(as_read(ramp >> 4, BitsStored=12, HighBit=11), ramp >> 8)
    eight = (ramp >> 8).astype(np.uint16)
    assert np.array_equal(as_read(eight), eight), "8-bit values in wider words are taken as they are"


@pytest.mark.parametrize("scale", [257, 1])
def test_a_palette_of_16_bits_is_read_by_the_half_it_uses(scale: int) -> None:
    assert np.array_equal(palette(scale)[0, 0], [200, 200, 200])


PLAIN = {
    "plain": ({**TWELVE}, GREY, "5767612b18a65980e46e2ae1215b0324ba24e33212f426ad315e6df9b8e59904"),
    "bright is air": ({**TWELVE, "PhotometricInterpretation": "MONOCHROME1"}, GREY, "42bf0587477b1c12f53e102f2f2f3e12350b12181ad02bf18c76aa4a0d0104a6"),
    "CT": ({"Modality": "CT", "RescaleSlope": "1", "RescaleIntercept": "-24"}, GREY.astype(np.int16) - 1024,
           "5767612b18a65980e46e2ae1215b0324ba24e33212f426ad315e6df9b8e59904"),
    "slope 2": ({**TWELVE, "RescaleSlope": "2", "RescaleIntercept": "-1024"}, GREY, "6884b98f7eb207bc248f4ff0bce2027c5ea0bcde10d66f2d3fa44a75396666c3"),
    "8 bits": ({}, (GREY >> 4).astype(np.uint8), "f49b4cb9230443c00d6f9d61aee9e405f8c384964cafb0644267066e7f947d8d"),
}  # fmt: skip


@pytest.mark.parametrize(("tags", "pixels", "digest"), PLAIN.values(), ids=PLAIN.keys())
def test_an_ordinary_film_is_bit_for_bit_what_models_were_taught_on(tags: dict[str, object], pixels: np.ndarray, digest: str) -> None:
    found = as_read(pixels, **tags)
    assert found.dtype == (np.uint8 if pixels.dtype == np.uint8 else np.uint16)
    assert hashlib.sha256(found.tobytes()).hexdigest() == digest


@pytest.mark.parametrize("slope", ["0.001", "0.5", "1.5", "-0.01"])
def test_a_slope_with_decimals_takes_no_step_away(slope: str) -> None:
    found = as_read(STEPS, **TWELVE, RescaleSlope=slope, RescaleIntercept="-3.7")
    assert np.array_equal(found, STEPS.max() - STEPS if slope.startswith("-") else STEPS)


def test_a_narrow_range_of_wide_pixels_is_still_looked_for() -> None:
    found = as_read((1000 + STEPS // 100).astype(np.uint16), **TWELVE)
    assert found.dtype == np.uint16 and (found.min(), found.max()) == (0, 40)


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_is_black_and_moves_nothing_of_the_body(photometric: str) -> None:
    body = (30_000 + STEPS).astype(np.uint16)
    bare = as_read(body[:, 20:], PhotometricInterpretation=photometric)
    body[:, :10], body[:, 10:20] = 0, 7
    found = as_read(body, PhotometricInterpretation=photometric, PixelPaddingValue=0, PixelPaddingRangeLimit=9)
    assert np.array_equal(found[:, 20:], bare) and not found[:, :20].any()


def test_padding_of_a_scan_is_found_whatever_sign_it_was_written_with() -> None:
    scan = np.full((64, 64), -2000, np.int16)
    scan[8:56, 8:56] = STEPS[8:56, 8:56].astype(np.int16) // 4 - 100
    made = pydicom.dcmread(io.BytesIO(dicom(scan, PixelPaddingValue=-2000, RescaleSlope="1", RescaleIntercept="0")))
    found = saved(made)
    assert found.max() == scan.max() - scan[8:56, 8:56].min() and not found[0].any()
    made.add_new("PixelPaddingValue", "US", 65_536 - 2000)
    assert np.array_equal(saved(made), found)
    made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    stream = io.BytesIO()
    made.save_as(stream, implicit_vr=True, little_endian=True, enforce_file_format=True)
    assert np.array_equal(read(stream.getvalue()), found)


def test_what_is_padding_throughout_is_shown_as_it_is() -> None:
    assert as_read(np.zeros((16, 16), np.uint16), PixelPaddingValue=0, PixelPaddingRangeLimit=None).shape == (16, 16)


def test_one_frame_of_several_and_doses_are_for_people_only() -> None:
    several = pydicom.dcmread(io.BytesIO(dicom(np.stack([GREY, GREY // 2, GREY]), NumberOfFrames=3)))
    pixels, _ = decoded(several)
    assert pixels is not None and np.array_equal(pixels, GREY - GREY.min()), "the first frame"
    assert unfit(several) == "No model looks at one frame of several."
    with pytest.raises(CaseError, match="a.dcm cannot be an image of a case. It holds doses of radiation"):
        as_read(GREY, SOPClassUID=RTDoseStorage)
    assert unfit(pydicom.dcmread(io.BytesIO(dicom(GREY)))) == ""
