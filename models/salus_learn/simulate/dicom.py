"""One drawn film as a DICOM file (DX Image Storage, PS3.3 A.26), marked as simulated."""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from salus_learn.simulate.people import SITES, Person

PIXEL_SPACING_MM = 1.4


def film_file(person: Person, pixels: np.ndarray, *, bedside: bool, seed: int) -> tuple[bytes, str]:
    """The file's bytes and its SOPInstanceUID. `pixels` is (256, 256) uint16, 12 bits, bright = dense."""
    key = f"salus-simulated-{seed}-{person.mrn}"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[key, "instance"])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = Dataset()
    film.file_meta = meta
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.StudyInstanceUID = generate_uid(entropy_srcs=[key, "study"])
    film.SeriesInstanceUID = generate_uid(entropy_srcs=[key, "series"])
    _who_and_when(film, person)
    film.Modality, film.BodyPartExamined, film.ViewPosition = "DX", "CHEST", "AP" if bedside else "PA"
    film.StudyDescription = "Chest film (simulated)"
    film.ImageComments = "SIMULATED"
    film.BurnedInAnnotation = "NO"  # drawn without a letter
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.ImagerPixelSpacing = [PIXEL_SPACING_MM, PIXEL_SPACING_MM]
    film.PixelData = pixels.astype("<u2").tobytes()
    stream = io.BytesIO()
    film.save_as(stream, enforce_file_format=True)
    return stream.getvalue(), str(film.SOPInstanceUID)


def _who_and_when(film: Dataset, person: Person) -> None:
    film.PatientID, film.IssuerOfPatientID = person.mrn, f"urn:salus:simulated:{SITES[person.site]}"
    film.PatientName = f"{person.family}^{person.given}"
    film.PatientBirthDate = person.born.strftime("%Y%m%d")
    film.PatientSex = "M" if person.sex == "male" else "F"
    film.TimezoneOffsetFromUTC = "+0000"
    film.StudyDate = film.AcquisitionDate = person.film_at.strftime("%Y%m%d")
    film.StudyTime = film.AcquisitionTime = person.film_at.strftime("%H%M%S")
