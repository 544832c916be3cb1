"""Nothing that says whose an image is leaves with it: every element of the standard is planted with a mark, and none comes out."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
)
from salus_web.releases.deidentify.alias import Alias
from salus_web.releases.deidentify.allowed import NUMBERS, WORDS
from salus_web.releases.deidentify.image import StaysIn, deidentified
from salus_web.releases.deidentify.pixels import clean_pixels

from tests.factories.films import dicom

ALIAS = Alias("9f2c", b"s" * 32)
PIXELS = np.arange(1200, dtype=np.uint16).reshape(40, 30)
TEXT = {"PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE", "CS", "AS"}
NEEDED = {"Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation",
          "Modality", "SOPClassUID", "BurnedInAnnotation", "ImageType", "NumberOfFrames", "SpecificCharacterSet", "PixelData"}  # fmt: skip


def film(**changes: Any) -> Dataset:
    """A film that may leave."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.Modality, made.BurnedInAnnotation = DigitalXRayImageStorageForPresentation, "DX", "NO"
    made.SOPInstanceUID, made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3.4.1", "1.2.3.4.2", "1.2.3.4.3"
    made.PatientID, made.PatientName, made.StudyDate = "MRN4711", "Vesper^Planted", "20260314"
    made.Rows, made.Columns, made.SamplesPerPixel, made.PhotometricInterpretation = 40, 30, 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = PIXELS.tobytes()
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = made.SOPClassUID, made.SOPInstanceUID
    return made


def written(made: Dataset) -> bytes:
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def left_of(made: Dataset, alias: Alias = ALIAS) -> Dataset:
    return pydicom.dcmread(io.BytesIO(deidentified(written(made), alias=alias, number=1)))


def mark_for(vr: str, number: int) -> tuple[Any, list[bytes]] | None:
    """A value of this kind that nobody else has, and how it would look in a file."""
    mark = f"QX{number:05d}Z"
    if vr in TEXT:
        return mark, [mark.encode()]
    if vr in {"DA", "DT", "TM"}:
        digits = f"19{number % 80 + 10:02d}0{number % 9 + 1}{number % 28 + 1:02d}"
        return (digits, [digits.encode()]) if vr != "TM" else (f"1{number % 10}{number % 60:02d}17.{number:06d}", [f".{number:06d}".encode()])
    if vr == "UI":
        return f"1.2.826.{number}.4711", [f"1.2.826.{number}.4711".encode()]
    if vr in {"DS", "IS"}:
        return str(84_000_000 + number), [str(84_000_000 + number).encode()]
    return (mark.encode() + b"\0", [mark.encode()]) if vr in {"OB", "UN"} else None


def planted() -> tuple[Dataset, list[bytes]]:
    """The film with a mark in every element of the dictionary that can hold one, in sequences, private elements and overlays."""
    made, marks = film(), []
    for number, (tag, (vr, many, _, _, keyword)) in enumerate(sorted(DicomDictionary.items())):
        if tag >> 16 in {0, 2, 4} or keyword in NEEDED or not keyword or keyword.endswith("PixelData") or many.startswith("0"):
            continue
        if vr == "SQ":
            inner = Dataset()
            inner.PatientName = f"QX{number:05d}Z"
            setattr(made, keyword, Sequence([inner]))
            marks.append(f"QX{number:05d}Z".encode())
        elif (found := mark_for(vr, number)) is not None:
            made.add_new(tag, vr, found[0])
            marks += found[1]
    block = made.private_block(0x0099, "QXPRIVATE", create=True)
    block.add_new(1, "LO", "QXinprivateZ")
    made.add_new(0x60004000, "LT", "QXinoverlayZ")
    made.add_new(0x60003000, "OW", b"QXoverlaydotsZ")
    return made, [*marks, b"QXPRIVATE", b"QXinprivateZ", b"QXinoverlayZ", b"QXoverlaydotsZ"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_of_every_element_of_the_standard_no_planted_word_leaves() -> None:
    made, marks = planted()
    came = b"\xab" * 128 + written(made)[128:] + b"QXbehindtheendZ"
    assert len(marks) > 3_000 and [mark for mark in marks if mark not in came] == []
    left = deidentified(came, alias=ALIAS, number=1)
    assert [mark for mark in [*marks, b"QXbehindtheendZ", b"\xab\xab"] if mark in left] == []
    assert b"QX" not in left and "QX".encode("utf-16-le") not in left
    assert np.array_equal(pydicom.dcmread(io.BytesIO(left)).pixel_array, PIXELS)


def test_what_an_image_is_for_stays() -> None:
    words = {"ViewPosition": "PA", "BodyPartExamined": "CHEST", "ImageLaterality": "L"}
    left = left_of(film(ImagerPixelSpacing=[0.14, 0.14], WindowCenter=600, WindowWidth=1200, KVP=120, **words))
    assert {keyword: left.get(keyword) for keyword in words} == words
    assert left.ImagerPixelSpacing == [0.14, 0.14] and (left.WindowCenter, left.KVP, left.BitsStored) == (600, 120, 12)
    assert (left.PatientName, left.PatientID, left.PatientIdentityRemoved, left.BurnedInAnnotation) == ("9f2c", "9f2c", "YES", "NO")
    assert [code.CodeValue for code in left.DeidentificationMethodCodeSequence] == ["113100", "113107"]


@pytest.mark.parametrize(("keyword", "value"), [
    ("BodyPartExamined", "VESPER"), ("ViewPosition", "MRN4711"), ("WindowCenter", 84_000_123), ("KVP", 4711), ("PixelSpacing", [0.1, 0.2, 0.3]),
    ("ImagePositionPatient", [1, 2, 84_000_123]), ("Laterality", "MR SMITH"),
])  # fmt: skip
def test_a_word_or_number_that_the_standard_does_not_know_stays(keyword: str, value: Any) -> None:
    assert keyword in NUMBERS | WORDS and keyword not in left_of(film(**{keyword: value}))


def test_dates_keep_their_distance_and_identifiers_their_sameness_within_a_person() -> None:
    first, second = left_of(film()), left_of(film(StudyDate="20260401", SOPInstanceUID="1.2.3.4.9"))
    days = [date(int(d[:4]), int(d[4:6]), int(d[6:])) for d in (first.StudyDate, second.StudyDate)]
    assert (days[1] - days[0]).days == 18 and days[0] < date(2026, 3, 14)
    assert first.StudyInstanceUID == second.StudyInstanceUID and first.SOPInstanceUID != second.SOPInstanceUID
    other = left_of(film(), Alias("9f2c", b"t" * 32))
    assert other.StudyInstanceUID != first.StudyInstanceUID and first.StudyInstanceUID.startswith("2.25.")
    assert other.StudyDate != first.StudyDate, "in another release nothing can be tied to this one"


def test_letters_in_unused_bits_and_in_a_compressed_stream_stay() -> None:
    dots = PIXELS | np.where(np.random.default_rng(2).random(PIXELS.shape) < 0.2, 0x8000, 0).astype(np.uint16)
    left = left_of(film(PixelData=dots.tobytes()))
    assert np.array_equal(np.frombuffer(left.PixelData, np.uint16).reshape(40, 30), PIXELS)
    packed = film()
    packed.compress(RLELossless)
    left = left_of(packed)
    assert left.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian and np.array_equal(left.pixel_array, PIXELS)


def test_signed_values_of_a_scanner_are_the_same() -> None:
    values = (PIXELS.astype(np.int16) - 600)
    scan = film(SOPClassUID=CTImageStorage, Modality="CT", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"], PixelRepresentation=1, BitsStored=16, HighBit=15,
                RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU", PixelData=values.tobytes())  # fmt: skip
    del scan.BurnedInAnnotation
    left = left_of(scan)
    assert np.array_equal(left.pixel_array, values) and (left.RescaleIntercept, left.RescaleType) == (-1024, "HU")


@pytest.mark.parametrize(("changes", "says"), [
    ({"BurnedInAnnotation": "YES"}, "says itself"), ({"BurnedInAnnotation": ""}, "does not say"), ({"BurnedInAnnotation": "MAYBE"}, "does not say"),
    ({"Modality": "US"}, "as a rule"), ({"SOPClassUID": UltrasoundImageStorage}, "as a rule"), ({"SOPClassUID": SecondaryCaptureImageStorage}, "as a rule"),
    ({"SOPClassUID": "1.2.3"}, "as a rule"), ({"NumberOfFrames": 2}, "several frames"), ({"Rows": 400}, "cannot be decoded"),
    ({"PhotometricInterpretation": "SECRET"}, "cannot be decoded"), ({"Rows": 20_000, "Columns": 20_000}, "100 million"),
    ({"SOPClassUID": CTImageStorage, "Modality": "CT", "BurnedInAnnotation": "", "ImageType": ["DERIVED", "SECONDARY"]}, "does not say"),
])  # fmt: skip
def test_what_may_not_leave_stays_with_a_reason_that_names_nobody(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(StaysIn, match=says) as why:
        left_of(film(**changes))
    assert "MRN" not in str(why.value) and "Vesper" not in str(why.value)
    with pytest.raises(StaysIn, match="cannot be decoded"):
        deidentified(b"no image", alias=ALIAS, number=1)


@pytest.mark.data
def test_of_real_objects_no_word_of_theirs_leaves(shared_data: Path) -> None:
    left_in, out = 0, 0
    for path in sorted((shared_data / "dicom_samples" / "valid").rglob("*")):
        if not path.is_file():
            continue
        raw = path.read_bytes()
        try:
            left = deidentified(raw, alias=ALIAS, number=1)
        except StaysIn:
            left_in += 1
            continue
        out += 1
        came = pydicom.dcmread(io.BytesIO(raw), force=True)
        kept = {str(value) for words in WORDS.values() for value in words} | {"ORIGINAL", "PRIMARY", "DERIVED"}
        words = {str(one.value) for one in came.iterall() if one.VR in {"PN", "LO", "SH", "LT", "ST", "UT", "UI", "DA"} and len(str(one.value)) > 5}
        body = json.dumps(pydicom.dcmread(io.BytesIO(left)).to_json_dict())
        assert [word for word in words - kept - {str(came.get("SOPClassUID"))} if word in body] == [], path.name
    assert out and left_in, "the samples are all alike"


def test_colours_leave_as_they_are_seen() -> None:
    """Stored as luminance, or in 16 bits: not turned into other colours on the way out."""
    red = np.full((16, 16, 3), (200, 50, 20), np.uint8)
    luminance = np.asarray(Image.fromarray(red).convert("YCbCr"))
    for stored, tags in ((luminance, {"PhotometricInterpretation": "YBR_FULL"}), (red.astype(np.uint16) * 257, {})):
        left = Dataset()
        clean_pixels(pydicom.dcmread(io.BytesIO(dicom(stored, **tags))), left)
        assert (left.PhotometricInterpretation, left.BitsStored) == ("RGB", 8)
        assert np.abs(np.frombuffer(left.PixelData, np.uint8).reshape(red.shape).astype(int) - red).max() <= 3
