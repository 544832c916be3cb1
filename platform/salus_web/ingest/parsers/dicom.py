"""DICOM objects (PS3.10 files) to typed records with renditions, and plain pictures wrapped as DICOM."""

from __future__ import annotations

import hashlib
import io
import warnings
from datetime import datetime
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
    generate_uid,
)
from salus_learn.tasks.dicom import decoded, unfit, words_of

from salus_web.ingest.parsers.forms import Parsed, PersonRecord, Unreadable
from salus_web.ingest.parsers.moments import moment_of
from salus_web.ingest.parsers.pixels import renditions

SEXES = {"M": "male", "F": "female", "O": "other"}
NO_MOMENT = "It does not say on which day and at what time it was made, so no model looks at it."


def parse_dicom(raw: bytes, name: str) -> Parsed:
    """Read one DICOM file. Raises Unreadable naming the tag. An image that no decoder here can decode is kept
    with its reason; an object without pixels is kept without renditions. The list that each disc must hold (PS3.10, 8) is of no patient."""
    warnings.simplefilter("ignore")
    try:
        dataset = pydicom.dcmread(io.BytesIO(raw))
    except Exception as error:  # noqa: BLE001 - any failure of the reader is a refusal with its reason
        raise Unreadable(f"{name} cannot be read as DICOM: {words_of(error)}.") from None
    if dataset.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return Parsed(left_out={"list of what is on a disc (DICOMDIR)": 1})
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality"):
        if not str(dataset.get(keyword, "") or "").strip():
            raise Unreadable(f"{name}: the tag {keyword} is missing or empty.")
    try:
        person, image = _person(dataset, name), _image(dataset, raw, name)
    except (ValueError, TypeError, AttributeError) as error:
        raise Unreadable(f"{name}: a tag has a value that cannot be read: {words_of(error)}.") from None
    why = " ".join(filter(None, (unfit(dataset), NO_MOMENT if image["acquired_at"] is None else "")))
    if why and image["pixel_state"] == "readable":
        _withheld(image, why)
    person.images.append(image)
    return Parsed([person])


def _person(dataset: Dataset, name: str) -> PersonRecord:
    birth = str(dataset.get("PatientBirthDate", "") or "")
    try:
        birth_date = datetime.strptime(birth, "%Y%m%d").date().isoformat() if birth else None
    except ValueError:
        raise Unreadable(f"{name}: PatientBirthDate “{birth}” is not a date.") from None
    comments = f"{dataset.get('PatientComments', '')} {dataset.get('ImageComments', '')}"
    return PersonRecord(
        mrn=str(dataset.PatientID).strip(), mrn_system=str(dataset.get("IssuerOfPatientID", "") or ""),
        name=_name(dataset), birth_date=birth_date,
        sex=SEXES.get(str(dataset.get("PatientSex", "") or ""), "unknown"), is_simulated="SIMULATED" in comments,
    )  # fmt: skip


def _name(dataset: Dataset) -> str:
    """As letters say it first; the same name in other scripts may follow after “=” (PS3.5, 6.2.1)."""
    groups = (group.strip("^ ") for group in str(dataset.get("PatientName", "") or "").split("="))
    family, _, given = next((group for group in groups if group), "").partition("^")
    return f"{given.replace('^', ' ')} {family}".strip()


def _withheld(image: dict[str, Any], why: str) -> None:
    """No model looks at this picture; people do, and read why."""
    image["renditions"] = [one for one in image["renditions"] if one["kind"] != "model"]
    image["pixel_problem"] = why


def _image(dataset: Dataset, raw: bytes, name: str) -> dict[str, Any]:
    pixels, problem = decoded(dataset) if "PixelData" in dataset else (None, "")
    written = _rewritten(dataset, raw, name, pixels)
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    return {
        "study_uid": str(dataset.StudyInstanceUID), "series_uid": str(dataset.SeriesInstanceUID),
        "uid": str(dataset.SOPInstanceUID), "sop_class": str(dataset.get("SOPClassUID", "")),
        "transfer_syntax": str(getattr(dataset.file_meta, "TransferSyntaxUID", "")),
        "modality": str(dataset.Modality)[:16], "body_part": str(dataset.get("BodyPartExamined", "") or "")[:64],
        "view": str(dataset.get("ViewPosition", "") or "")[:40],
        "laterality": str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "")[:4],
        "description": str(dataset.get("StudyDescription", "") or "")[:200],
        "rows": int(dataset.get("Rows") or 0) or None, "columns": int(dataset.get("Columns") or 0) or None,
        "frames": int(dataset.get("NumberOfFrames") or 1),
        "photometric": str(dataset.get("PhotometricInterpretation", "") or ""),
        "pixel_spacing_mm": float(spacing[0]) if spacing else None, "acquired_at": moment_of(dataset, name),
        "pixel_state": "readable" if pixels is not None else ("unreadable" if problem else "none"),
        "pixel_problem": problem, "region": None, "outline": None, "bytes": written, "source": f"DICOM {name}"[:200],
        "renditions": [] if pixels is None else renditions(pixels, is_padded="PixelPaddingValue" in dataset),
    }  # fmt: skip


def _rewritten(dataset: Dataset, raw: bytes, name: str, pixels: np.ndarray | None) -> bytes:
    """The object as we write it: empty preamble, nothing before, between or after its elements that is none of them. Read and
    decoded again and compared with what came; Unreadable where it is not the same."""
    if len(raw) < 132 or raw[128:132] != b"DICM":
        raise Unreadable(f"{name} has no DICOM preamble.")
    dataset.preamble = b"\0" * 128
    stream = io.BytesIO()
    try:
        dataset.save_as(stream, enforce_file_format=False)
        again = pydicom.dcmread(io.BytesIO(stream.getvalue()))
        is_same = _plain(again) == _plain(dataset) and again.file_meta == dataset.file_meta
    except Exception as error:  # noqa: BLE001 - as when it was first read
        raise Unreadable(f"{name} cannot be written anew: {words_of(error)}.") from None
    if is_same and pixels is not None:
        written, _ = decoded(again)
        is_same = written is not None and np.array_equal(written, pixels)
    if not is_same:
        raise Unreadable(f"{name} is not the same when it is written anew and read again.")
    return stream.getvalue()


def _plain(dataset: Dataset) -> Dataset:
    """Its elements without group lengths, which are retired and say how many bytes follow: they change with the writing."""
    if not any(tag.element == 0 for tag in dataset.keys()):  # noqa: SIM118 - iterating a dataset gives elements
        return dataset
    kept = Dataset(dataset)
    for tag in [tag for tag in kept.keys() if tag.element == 0]:  # noqa: SIM118
        del kept[tag]
    return kept


def wrap_picture(pixels: np.ndarray, spec: dict[str, str], mrn: str, key: str) -> dict[str, Any]:
    """A plain picture as a DICOM Secondary Capture, so that everything behind the door knows one form.

    `spec` gives modality, body_part and view; `key` (case and what tells its pictures apart) makes the identifiers the same each time,
    and others for another picture.
    """
    kind, shown = [spec["modality"], spec["body_part"]], hashlib.sha256(repr((pixels.shape, pixels.dtype.str)).encode() + pixels.tobytes()).hexdigest()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["instance", key, *kind, spec["view"], shown])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", key.split("|")[0]])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", key.split("|")[0], *kind])
    dataset.PatientID, dataset.Modality = mrn, spec["modality"]
    dataset.BodyPartExamined, dataset.ViewPosition = spec["body_part"].upper()[:16], spec["view"].upper()[:16]
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    bits = 16 if pixels.dtype == np.uint16 else 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    dataset.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    body = pixels.tobytes()
    dataset.PixelData = body + b"\0" * (len(body) % 2)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    raw = stream.getvalue()
    image = _image(pydicom.dcmread(io.BytesIO(raw)), raw, key)
    return image | {"view": spec["view"], "body_part": spec["body_part"], "wrapped_sha256": hashlib.sha256(raw).hexdigest()}
