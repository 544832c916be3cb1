"""Zip archives and the choice of parser. Limits come before anything is unpacked."""

from __future__ import annotations

import io
import zipfile

from salus_web.ingest.parsers.dicom import parse_dicom
from salus_web.ingest.parsers.fhir import parse_fhir
from salus_web.ingest.parsers.forms import Parsed, Unreadable

MOST_ENTRIES = 20_000
MOST_BYTES = 2 << 30
STEEPEST = 200


TASK_FILE = "task.toml"


def holds_case_table(raw: bytes) -> bool:
    """Whether a file is a zip with a task file at its top: a case table with its images. Reads only the index."""
    if raw[:4] != b"PK\x03\x04":
        return False
    try:
        return TASK_FILE in zipfile.ZipFile(io.BytesIO(raw)).namelist()
    except (zipfile.BadZipFile, ValueError):
        return False


def parse_file(raw: bytes, name: str) -> tuple[str, Parsed]:
    """The form of a file (`fhir`, `dicom`, `zip`) and what it holds. Raises Unreadable."""
    if not raw:
        raise Unreadable(f"{name} is empty.")
    if raw[:4] == b"PK\x03\x04":
        return "zip", _zip(raw, name)
    if raw[128:132] == b"DICM":
        return "dicom", parse_dicom(raw, name)
    if raw.lstrip()[:1] in (b"{", b"["):
        return "fhir", parse_fhir(raw, name)
    raise Unreadable(f"{name} is neither a FHIR bundle, nor a DICOM file, nor a zip of those.")


def _zip(raw: bytes, name: str) -> Parsed:
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except (zipfile.BadZipFile, ValueError) as error:
        raise Unreadable(f"{name} is a damaged zip file: {error}.") from None
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(f"{name} holds {len(entries)} files; at most {MOST_ENTRIES} are taken at once.")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES or any(e.file_size > STEEPEST * max(e.compress_size, 1024) for e in entries):
        raise Unreadable(f"{name} would grow to {total:,} bytes when unpacked; that is refused.")
    whole = Parsed()
    for entry in entries:
        try:
            body = archive.read(entry)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
            raise Unreadable(f"{name}, {entry.filename}: cannot be unpacked: {error}.") from None
        if body[:4] == b"PK\x03\x04":
            raise Unreadable(f"{name}, {entry.filename}: a zip inside a zip is not taken.")
        _, part = parse_file(body, entry.filename)
        whole.people += part.people
        for kind, times in part.left_out.items():
            whole.left_out[kind] = whole.left_out.get(kind, 0) + times
    return whole
