"""Small DICOM files, as a folder of cases holds them."""

from __future__ import annotations

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def dicom(pixels: np.ndarray | None, **tags: object) -> bytes:
    """An object with these pixels, (H, W) of 8 or 16 bits, and these tags besides."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = Dataset()
    film.file_meta = meta
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.PatientID, film.Modality = "somebody", "OT"
    if pixels is not None:
        film.Rows, film.Columns = pixels.shape[-2:]
        film.BitsAllocated = film.BitsStored = 8 * pixels.dtype.itemsize
        film.HighBit, film.PixelRepresentation = film.BitsStored - 1, int(pixels.dtype.kind == "i")
        film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
        film.PixelData = pixels.tobytes()
    for tag, value in tags.items():
        setattr(film, tag, value)
    stream = io.BytesIO()
    film.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
