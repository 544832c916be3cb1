"""One image, written anew from what may leave of it: the Basic Application Level Confidentiality Profile with the Retain
Longitudinal Temporal Information with Modified Dates Option (DICOM PS3.15, annex E), by a list of what is kept.
"""

from __future__ import annotations

import io
import math
import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian

from salus_web.releases.deidentify.alias import Alias
from salus_web.releases.deidentify.allowed import (
    DATES,
    DECIMALS,
    FILMS,
    KINDS,
    LARGEST_PIXELS,
    NUMBERS,
    SCANNED,
    UIDS,
    WORDS,
)
from salus_web.releases.deidentify.pixels import clean_pixels

METHOD = "PS3.15 Basic Profile by a list of what is kept; dates shifted"
_CODES = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
)


class StaysIn(Exception):
    """Why an image may not leave, in words that name nobody."""


def deidentified(raw: bytes, *, alias: Alias, number: int) -> bytes:
    """A DICOM file of the image with the alias as its patient and `number` (from 1) as its InstanceNumber.

    Raises StaysIn for what may not leave, and for what cannot be decoded: pixels are decoded and written plainly, so that
    nothing hides beside them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            came = pydicom.dcmread(io.BytesIO(raw))
            check_may_leave(came)
            left = _left(came, alias, number)
            stream = io.BytesIO()
            left.save_as(stream, enforce_file_format=True)
        except StaysIn:
            raise
        except Exception:  # noqa: BLE001 - readers and decoders raise anything, and their words may quote the object
            raise StaysIn("cannot be decoded here") from None
    return stream.getvalue()


def check_may_leave(came: Dataset) -> None:
    """Raises StaysIn with the reason; silence about burned-in letters proves nothing."""
    modality, kind = str(came.get("Modality", "")), UID(str(came.get("SOPClassUID", ""))).keyword
    said = str(came.get("BurnedInAnnotation", "") or "").strip().upper()
    if "PixelData" not in came:
        raise StaysIn("holds no pixels")
    if kind not in KINDS or modality not in FILMS | SCANNED:
        raise StaysIn("is of a kind that has letters burned in as a rule: a captured screen, a photo, an ultrasound, an angiography")
    if said == "YES":
        raise StaysIn("says itself that letters are burned in")
    is_original = [str(word) for word in _listed(came.get("ImageType"))][:1] == ["ORIGINAL"]
    if said != "NO" and not (modality in SCANNED and is_original):
        raise StaysIn("does not say that no letters are burned in")
    if int(came.get("NumberOfFrames") or 1) > 1:
        raise StaysIn("has several frames, of which a face can be rebuilt")
    if int(came.get("Rows") or 0) * int(came.get("Columns") or 0) > LARGEST_PIXELS:
        raise StaysIn("is larger than 100 million pixels")


def _left(came: Dataset, alias: Alias, number: int) -> Dataset:
    """What leaves."""
    left = Dataset()
    left.file_meta = FileMetaDataset()
    left.SOPClassUID, left.Modality = came.SOPClassUID, came.Modality
    for keyword in UIDS:
        if came.get(keyword):
            setattr(left, keyword, alias.uid(str(came[keyword].value)))
    for keyword, words in WORDS.items():
        if (word := str(came.get(keyword, "") or "").strip().upper()) in words:
            setattr(left, keyword, word)
    for keyword in NUMBERS:
        if (numbers := _numbers(came.get(keyword), *NUMBERS[keyword])) is not None:
            setattr(left, keyword, numbers)
    for keyword in DATES:
        setattr(left, keyword, _shifted(str(came.get(keyword, "") or ""), alias.shift()))
    left.ImageType = ["DERIVED", "PRIMARY"]
    left.InstanceNumber, left.SeriesNumber = number, None
    left.PatientName = left.PatientID = alias.name
    for keyword in ("PatientBirthDate", "PatientSex", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID", "Manufacturer"):
        setattr(left, keyword, "")
    _said(left)
    clean_pixels(came, left)
    left.file_meta.MediaStorageSOPClassUID, left.file_meta.MediaStorageSOPInstanceUID = left.SOPClassUID, left.SOPInstanceUID
    left.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return left


def _said(left: Dataset) -> None:
    """What the object says of its own de-identification (PS3.15, E.1; codes of CID 7050)."""
    left.PatientIdentityRemoved, left.BurnedInAnnotation = "YES", "NO"
    left.LongitudinalTemporalInformationModified = "MODIFIED"
    left.DeidentificationMethod = METHOD
    codes = []
    for value, meaning in _CODES:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
        codes.append(code)
    left.DeidentificationMethodCodeSequence = Sequence(codes)


def _numbers(value: Any, count: int, low: float, high: float) -> Any:
    """So many numbers within their limits, rounded; of windows, of which there may be several, the first."""
    found = [float(one) for one in _listed(value)]
    found = found[:1] if count == 1 else found
    if len(found) != count or not all(math.isfinite(one) and low <= one <= high for one in found):
        return None
    rounded = [round(one, DECIMALS) for one in found]
    return rounded[0] if count == 1 else rounded


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]


def _shifted(day: str, by: timedelta) -> str:
    """A date of the person, as far from their others as before; nothing where there was none."""
    try:
        return (datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC) + by).strftime("%Y%m%d")
    except (ValueError, OverflowError):
        return ""
