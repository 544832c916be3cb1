"""Files as an enemy or a broken program would send them: good ones of four kinds, changed by a seeded hand. Number n of a seed is
the same file on every machine."""

from __future__ import annotations

import io
import json
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import JPEG2000Lossless, RLELossless
from salus_web.ingest.parsers.dicom import wrap_picture

from tests.factories.cases import make_cases
from tests.web.test_ingest_parsers import bundle

KINDS = ("fhir", "dicom", "zip", "cases")
SPEC = {"modality": "DX", "body_part": "chest", "view": "PA"}
WHEN = "2026-01-02T03:04:05Z"
DEEP: Any = []
for _ in range(40):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    None, "", "\x00", "a\x00b", "x" * 70_000, 0, -1, 2**31, 2**63, 2**70, 1e308, -1e308, True, False, [], {}, [None], [[]], {"a": 1}, DEEP,
    "0000-00-00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9999-12-31", "2026-02-30", "‮", "=cmd()", "<script>",
    "../../etc/passwd", "Patient/p", "urn:uuid:p", "Infinity", "NaN", "１２", "🏥" * 500, " ", "\t",
)  # fmt: skip
ODD_TAGS: tuple[tuple[str, Any], ...] = (
    ("Rows", 65535), ("Columns", 65535), ("Rows", 0), ("NumberOfFrames", 2**31 - 1), ("NumberOfFrames", -3), ("BitsAllocated", 0), ("BitsAllocated", 3),
    ("BitsAllocated", 64), ("BitsStored", 40), ("SamplesPerPixel", 0), ("SamplesPerPixel", 4), ("PhotometricInterpretation", "YBR_FULL"),
    ("PhotometricInterpretation", "PALETTE COLOR"), ("PhotometricInterpretation", "?" * 90), ("PlanarConfiguration", 7), ("PixelRepresentation", 1),
    ("PatientID", "x" * 300), ("PatientID", "\x00"), ("SOPInstanceUID", "1." * 60 + "1"), ("Modality", "X" * 99), ("PatientBirthDate", "99999999"),
    ("StudyDescription", "\x00" * 20), ("PixelSpacing", [0.0, -1.0]), ("RescaleSlope", 1e300), ("RescaleIntercept", -1e300), ("PixelData", b""),
    ("PixelData", b"\x00"), ("AcquisitionDate", "00000000"), ("WindowWidth", 0),
)  # fmt: skip


def mutant(seed: int, number: int) -> tuple[str, str, bytes]:
    """Kind, name and bytes of one file; one in forty is left as it was."""
    chance = random.Random(f"{seed}-{number}")
    kind = KINDS[number % len(KINDS)]
    raw = chance.choice(seeds()[kind])
    if chance.random() < 1 / 40:
        return kind, f"m{number}", raw
    if chance.random() < 0.6:
        raw = SHAPES[kind](raw, chance)
    for _ in range(chance.choice((0, 1, 1, 2, 5, 20))):
        raw = damaged(raw, chance)
    return kind, f"m{number}", raw


def damaged(raw: bytes, chance: random.Random) -> bytes:
    """Bytes changed without knowing what they are."""
    body, size = bytearray(raw), len(raw)
    if not size:
        return raw
    at, length = chance.randrange(size), min(size, 1 << chance.randrange(0, 12))
    how = chance.randrange(9)
    if how == 0:
        body[at] ^= 1 << chance.randrange(8)
    elif how == 1:
        body[at : at + length] = chance.randbytes(length)
    elif how == 2:
        body[at : at + length] = bytes([chance.choice((0, 255))]) * length
    elif how == 3:
        del body[at : at + length]
    elif how == 4:
        body[at:at] = body[at : at + length]
    elif how == 5:
        del body[at:]
    elif how == 6 and size > 8:
        struct.pack_into("<I", body, min(at, size - 4), chance.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 1 << 24)))
    elif how == 7:
        other = chance.choice(seeds()[chance.choice(KINDS)])
        body[at:] = other[chance.randrange(len(other)) :]
    else:
        body += chance.randbytes(length)
    return bytes(body)


def odd_fhir(raw: bytes, chance: random.Random) -> bytes:
    """A bundle with other values in one to four of its places."""
    document = json.loads(raw.split(b"\n")[0])
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = list(_places(document))
        if not places:
            break
        holder, key = chance.choice(places)
        how = chance.randrange(10)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, list):
            holder.extend(holder[:50])
        elif how == 2:
            holder[key] = [holder[key]] * chance.choice((1, 3))
        else:
            holder[key] = chance.choice(VALUES)
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Any:
    """Every place of a document that holds something."""
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def odd_dicom(raw: bytes, chance: random.Random) -> bytes:
    """An object with tags that do not fit what else it says; as it was where pydicom does not write such a tag."""
    try:
        dataset = pydicom.dcmread(io.BytesIO(raw))
        for keyword, value in chance.sample(ODD_TAGS, chance.choice((1, 1, 2, 4))):
            setattr(dataset, keyword, value)
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        return stream.getvalue()
    except Exception:  # noqa: BLE001 - such a tag cannot be written; the bytes are damaged instead
        return damaged(raw, chance)


def odd_zip(raw: bytes, chance: random.Random) -> bytes:
    """Names that lead outside, a zip in a zip, a bomb, the same name twice, very many names, a lock that is none."""
    names = ["../out.json", "/etc/passwd", "C:\\x", "a/../../b", "a\x00b", "x" * 3000, "", "task.toml", "con", "‮gpj.exe"]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))) as packed:
        for _ in range(chance.choice((0, 1, 3))):
            kind = chance.choice(("fhir", "dicom", "zip"))
            _put(packed, chance.choice(["a.json", "b.dcm", *names]), chance.choice(seeds()[kind]))
        how = chance.randrange(4)
        if how == 0:
            _put(packed, "bomb.json", b"[" * chance.choice((1 << 20, 8 << 20)))
        elif how == 1:
            for number in range(chance.choice((200, 2_000))):
                _put(packed, f"{number}", b"")
        elif how == 2:
            _put(packed, "bad.json", odd_fhir(seeds()["fhir"][0], chance))
    body = bytearray(stream.getvalue())
    if chance.random() < 0.3:  # sizes and flags of the index, which is believed before anything is unpacked
        at = body.rfind(b"PK\x01\x02")
        if at >= 0:
            struct.pack_into("<I", body, at + chance.choice((8, 20, 24, 42)), chance.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF)))
    return bytes(body)


def odd_cases(raw: bytes, chance: random.Random) -> bytes:
    """A case table with another cell, another line of its task file, or a damaged picture."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(raw)) as packed, zipfile.ZipFile(stream, "w") as changed:
        target = chance.choice(packed.namelist())
        for name in packed.namelist():
            body = packed.read(name)
            if name == target:
                body = _odd_text(body, chance) if name.endswith((".csv", ".toml")) else damaged(body, chance)
            _put(changed, name, body)
    return stream.getvalue()


def _odd_text(body: bytes, chance: random.Random) -> bytes:
    """One cell or one line in another form."""
    lines = body.decode().split("\n")
    at = chance.randrange(len(lines))
    how = chance.randrange(5)
    if how == 0:
        del lines[at]
    elif how == 1:
        lines[at:at] = [lines[at]] * chance.choice((1, 300))
    else:
        mark = "," if "," in lines[at] else "="
        cells = lines[at].split(mark)
        odd = str(chance.choice(VALUES))[:5000]
        cells[chance.randrange(len(cells))] = odd if mark == "," else chance.choice((odd, f" {odd!r}", " 1e999", " []", " -5", ' "../x.csv"'))
        lines[at] = mark.join(cells)
    return "\n".join(lines).encode("utf-8", "surrogatepass")


SHAPES: dict[str, Callable[[bytes, random.Random], bytes]] = {"fhir": odd_fhir, "dicom": odd_dicom, "zip": odd_zip, "cases": odd_cases}


@cache
def seeds() -> dict[str, list[bytes]]:
    """Good files of every kind."""
    fhir, dicom = _bundles(), _objects()
    zips = [_packed({"a.json": fhir[0], "b.dcm": dicom[0]}), _packed({"deep/one.json": fhir[1]}), _packed({"a.dcm": dicom[1], "b.dcm": dicom[2]})]
    with tempfile.TemporaryDirectory() as folder:
        made = make_cases(Path(folder), people=6)
        table = _packed({str(path.relative_to(made)): path.read_bytes() for path in sorted(made.rglob("*")) if path.is_file()})
    return {"fhir": fhir, "dicom": dicom, "zip": zips, "cases": [table]}


def _put(packed: zipfile.ZipFile, name: str, body: bytes) -> None:
    """A file of a zip with a time of its own, so that the same number is the same file."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = packed.compression
    packed.writestr(entry, body)


def _packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in files.items():
            _put(packed, name, body)
    return stream.getvalue()


def _bundles() -> list[bytes]:
    """One observation; every kind of resource; two lines."""
    small = json.dumps(bundle()).encode()
    rich, reference = bundle(), {"reference": "urn:uuid:p"}
    code = {"coding": [{"system": "http://loinc.org", "code": "8480-6", "display": "Systolic"}]}
    rich["entry"] += [{"resource": one | {"subject": reference}} for one in (
        {"resourceType": "Encounter", "id": "e", "period": {"start": WHEN, "end": WHEN}, "class": {"code": "IMP"}, "location": [{"location": {"display": "W"}}]},
        {"resourceType": "Condition", "id": "c", "code": code, "recordedDate": WHEN, "encounter": {"reference": "Encounter/e"}},
        {"resourceType": "MedicationRequest", "id": "m", "authoredOn": WHEN, "medicationCodeableConcept": {"text": "aspirin"}, "status": "active"},
        {"resourceType": "AllergyIntolerance", "id": "a", "patient": reference, "code": {"text": "penicillin"}, "recordedDate": WHEN},
        {"resourceType": "Observation", "id": "o2", "code": code, "effectiveDateTime": WHEN, "valueString": "calm",
         "component": [{"code": code, "valueQuantity": {"value": 120, "code": "mm[Hg]"}}]},
        {"resourceType": "Device", "id": "d"},
    )]  # fmt: skip
    return [small, json.dumps(rich).encode(), small + b"\n" + small]


def _objects() -> list[bytes]:
    """Grey of 8 and 16 bits, colour, run length, JPEG 2000."""
    chance = np.random.default_rng(5)
    shapes = ((48, 40), np.uint8), ((40, 32), np.uint16), ((32, 32, 3), np.uint8)
    plain = [
        wrap_picture(chance.integers(0, np.iinfo(kind).max, shape).astype(kind), SPEC, f"44{n}", f"case|{n}")["bytes"]
        for n, (shape, kind) in enumerate(shapes)
    ]
    packed = []
    for syntax in (RLELossless, JPEG2000Lossless):
        dataset = pydicom.dcmread(io.BytesIO(plain[0]))
        dataset.compress(syntax, generate_instance_uid=False)
        stream = io.BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        packed.append(stream.getvalue())
    return plain + packed
