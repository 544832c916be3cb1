"""Zip archives and the choice of parser. Limits come before anything is unpacked."""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from salus_web.ingest.parsers.dicom import parse_dicom
from salus_web.ingest.parsers.fhir import parse_fhir
from salus_web.ingest.parsers.fhir_times import Clock
from salus_web.ingest.parsers.forms import Parsed, Unreadable

MOST_ENTRIES = 20_000
MOST_BYTES = 2 << 30
STEEPEST = 200
LONGEST_INDEX = 4 << 20
LONGEST_NAME = 400  # a path inside a zip; it stands in what is said of it, sometimes twice
# the marks of a zip's index and of its end (PKWARE's APPNOTE, 4.3.12 and 4.3.16)
_ENTRY, _ENTRY_BYTES, _END, _END_BYTES = b"PK\x01\x02", 46, b"PK\x05\x06", 22
_ENCRYPTED = 0x1
# what zipfile raises while it reads an index that lies, and while it unpacks: a method it does not know is a NotImplementedError,
# which is a RuntimeError; the rest come from what does the unpacking
_DAMAGED = (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error)
_NOT_UNPACKED = (zipfile.BadZipFile, RuntimeError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError)

TASK_FILE = "task.toml"


def holds_case_table(beginning: bytes, end: bytes) -> bool:
    """Whether a file is a zip with a task file at its top: a case table with its images. Reads only the index, which it is
    given as the last bytes of the file (LONGEST_INDEX is enough for as many entries as are taken at once)."""
    if beginning[:4] != b"PK\x03\x04":
        return False
    at = end.rfind(_END)
    if at < 0 or at + _END_BYTES > len(end):
        return False
    entries, size = struct.unpack_from("<HI", end, at + 10)
    start = at - size
    while entries and 0 <= start <= at - _ENTRY_BYTES and end[start : start + 4] == _ENTRY:
        name, extra, comment = struct.unpack_from("<HHH", end, start + 28)
        if end[start + _ENTRY_BYTES : start + _ENTRY_BYTES + name] == TASK_FILE.encode():
            return True
        entries, start = entries - 1, start + _ENTRY_BYTES + name + extra + comment
    return False


def parts_of(raw: bytes, name: str, clock: Clock) -> tuple[str, Iterator[Parsed]]:
    """The form of a file (`fhir`, `dicom`, `zip`) and what it holds, one part for each file of a zip. Raises Unreadable, here or
    while the parts are taken."""
    if not raw:
        raise Unreadable(f"{name} is empty.")
    if raw[:4] == b"PK\x03\x04":
        return "zip", _zip(raw, name, clock)
    if raw[128:132] == b"DICM":
        return "dicom", iter([parse_dicom(raw, name)])
    if raw.lstrip()[:1] in (b"{", b"["):
        return "fhir", iter([parse_fhir(raw, name, clock)])
    raise Unreadable(f"{name} is neither a FHIR bundle, nor a DICOM file, nor a zip of those.")


def checked_entries(raw: bytes, name: str) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """A zip's files, before any is unpacked. Raises Unreadable for one that is damaged, holds too many, would grow too large, or
    names a place outside itself."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(raw))
        # is_dir looks at the last letter of a name, also where there is none
        entries = [entry for entry in archive.infolist() if not entry.filename or not entry.is_dir()]
    except _DAMAGED as error:
        raise Unreadable(f"{name} is a damaged zip file: {error}.") from None
    if len(entries) > MOST_ENTRIES:
        raise Unreadable(f"{name} holds {len(entries)} files; at most {MOST_ENTRIES} are taken at once.")
    total = sum(entry.file_size for entry in entries)
    if total > MOST_BYTES or any(e.file_size > STEEPEST * max(e.compress_size, 1024) for e in entries):
        raise Unreadable(f"{name} would grow to {total:,} bytes when unpacked; that is refused.")
    for entry in entries:
        place = PurePosixPath(entry.filename.replace("\\", "/"))
        if not place.parts:
            raise Unreadable(f"{name} holds a file without a name.")
        if len(entry.filename) > LONGEST_NAME:
            raise Unreadable(f"{name} holds a file whose name has {len(entry.filename):,} letters ({entry.filename[:40]}…); at most {LONGEST_NAME} are taken.")
        if place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
            raise Unreadable(f"{name} names a file outside itself: {entry.filename}.")
        if entry.flag_bits & _ENCRYPTED:
            raise Unreadable(f"{name}, {entry.filename}: is locked with a password.")
    return archive, entries


def unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> bytes:
    """One file of a zip: never more bytes than its index said. Raises Unreadable."""
    try:
        with archive.open(entry) as stream:
            body = stream.read(entry.file_size + 1)
    except _NOT_UNPACKED as error:
        raise Unreadable(f"{name}, {entry.filename}: cannot be unpacked: {error}.") from None
    if len(body) != entry.file_size:
        raise Unreadable(f"{name}, {entry.filename}: is not as long as the zip says.")
    return body


def _zip(raw: bytes, name: str, clock: Clock) -> Iterator[Parsed]:
    archive, entries = checked_entries(raw, name)
    for entry in entries:
        body = unpacked(archive, entry, name)
        if body[:4] == b"PK\x03\x04":
            raise Unreadable(f"{name}, {entry.filename}: a zip inside a zip is not taken.")
        yield from parts_of(body, entry.filename, clock)[1]
