"""Hostile files one by one: bombs, nests, names that lead outside, lies about length, readers that die; each a refusal with its reason."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from django.apps import apps
from salus_web.common.errors import BadInput, IntegrityBroken
from salus_web.ingest import child
from salus_web.ingest.child import limits_for, parse_in_child, read_in_child
from salus_web.ingest.parsers.dicom import parse_dicom, wrap_picture
from salus_web.ingest.parsers.forms import Unreadable
from salus_web.ingest.parsers.storable import LONGEST, check_person

from tests.web.test_ingest_door import archive, film
from tests.web.test_ingest_parsers import bundle

TROUBLE = """
import os, signal, sys, time
from salus_web.ingest.parse_child import answer, limit, run, said_head
limit(int(sys.argv[1]), int(sys.argv[2]))
name = said_head()["name"]
def parts():
    if name == "kill": os.kill(os.getpid(), signal.SIGKILL)
    if name == "segv": os.kill(os.getpid(), signal.SIGSEGV)
    if name == "exit": os._exit(0)
    if name == "panic": raise type("PanicException", (BaseException,), {})("a word of the patient")
    if name == "memory": x = bytearray(600 << 20)
    if name == "spin":
        while True: pass
    if name == "write": open("/tmp/salus-hostile", "wb", buffering=0).write(b"x")
    if name == "quote": answer({"refused": "entry 1: “" + 9_000 * "x" + "” is not a date."}, []); return
    if name == "half": sys.stdout.buffer.write((99).to_bytes(8, "big") + b"{"); sys.stdout.buffer.flush(); os._exit(0)
    if name == "flood":
        while True: answer({"people": []}, [b"x" * (1 << 20)])
    yield {"done": True}
sys.exit(run(parts(), name))
"""


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading child that does what its file's name says."""
    (tmp_path / "trouble.py").write_text(TROUBLE)
    around = child._environment()
    monkeypatch.setattr(child, "_environment", lambda: around | {"PYTHONPATH": f"{tmp_path}:{around['PYTHONPATH']}"})
    monkeypatch.setattr(child, "SECONDS", 2)
    monkeypatch.setattr(child, "ANSWER_AT_MOST", 20 << 20)


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("kill", "more time or memory"), ("segv", "stopped by SIGSEGV"), ("exit", "gave up on it"), ("panic", "PanicException"),
        ("memory", "more memory"), ("spin", "more time or memory"), ("write", "SIGXFSZ|OSError|PermissionError"), ("half", "gave up on it"),
        ("flood", "too much room"),
    ],
)  # fmt: skip
def test_any_end_of_the_child_is_a_refusal_with_its_reason(name: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        list(read_in_child("trouble", {"name": name}, [b"x"], size_bytes=1))
    assert "word of the patient" not in str(refused.value)


@pytest.mark.usefixtures("trouble")
def test_a_refusal_that_quotes_a_long_file_is_cut() -> None:
    with pytest.raises(BadInput) as refused:
        list(read_in_child("trouble", {"name": "quote"}, [b"x"], size_bytes=1))
    assert str(refused.value) == "entry 1: “" + 990 * "x" + " …"


def test_a_small_file_gets_512_megabytes_and_ten_seconds_and_none_more_than_2048() -> None:
    assert limits_for(1000) == ((512 << 20) + 12_000, 10)
    assert limits_for(512 << 20)[0] == 2 << 30


def test_the_childs_name_and_keys_are_in_no_list_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    start = subprocess.Popen

    def noting(command: list[str], **options: Any) -> Any:
        seen.append((command, options["env"]))
        return start(command, **options)

    monkeypatch.setenv("SALUS_INDEX_KEY", "secret")
    monkeypatch.setattr(child.subprocess, "Popen", noting)
    parse_in_child(json.dumps(bundle()).encode(), "Jane Doe 4417.json")
    ((command, environment),) = seen
    assert "Jane" not in " ".join(command) and set(environment) == {"PATH", "PYTHONPATH", "OPENBLAS_NUM_THREADS"}


def test_what_is_wrong_with_the_stored_file_itself_is_not_called_a_bad_file() -> None:
    def pieces() -> Any:
        yield b'{"resourceType"'
        raise IntegrityBroken("the vault's file was changed")

    with pytest.raises(IntegrityBroken):
        parse_in_child(pieces(), "a.json", size_bytes=20)


def zipped(name: str, body: bytes, how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as packed:
        packed.writestr(name, body)
    return stream.getvalue()


def lying(raw: bytes, at: int, value: int) -> bytes:
    """A zip whose index says another number."""
    body = bytearray(raw)
    struct.pack_into("<I", body, body.rfind(b"PK\x01\x02") + at, value)
    return bytes(body)


def nameless(body: bytes) -> bytes:
    """A zip with one file whose name has no letter: four of them are told as an extra field instead."""
    raw = bytearray(zipped("zz__", body).replace(b"zz__", b"zz\0\0"))
    for at in (26, raw.rfind(b"PK\x01\x02") + 28):
        struct.pack_into("<HH", raw, at, 0, 4)
    return bytes(raw)


GOOD = json.dumps(bundle()).encode()
ZIPS = [
    (zipped("../out.json", GOOD), "names a file outside itself"), (zipped("/etc/x.json", GOOD), "names a file outside itself"),
    (zipped("a/../../x.json", GOOD), "names a file outside itself"), (zipped("C:\\x.json", GOOD), "names a file outside itself"),
    (zipped("x" * 3_000, GOOD), "whose name has 3,000 letters"),
    (zipped("..\\x.json", GOOD), "names a file outside itself"), (zipped("in.zip", zipped("a.json", GOOD)), "a zip inside a zip"),
    (zipped("a.json", b"0" * 60_000_000), "would grow to 60,000,000 bytes"), (lying(zipped("a.json", b"0" * 900_000), 24, 1000), "as the zip says|cannot be unpacked"),
    (lying(zipped("a.json", GOOD), 24, 900_000), "would grow|as the zip says|cannot be unpacked"), (lying(zipped("a.json", GOOD), 8, 0x00090001), "locked with a password"),
    (archive(*((f"{n}.json", b"") for n in range(20_001))), "holds 20001 files"), (zipped("a.json", GOOD)[:-30], "damaged zip file"),
    (nameless(GOOD), "holds a file without a name"), (zipped(".", GOOD), "holds a file without a name"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "says"), ZIPS)
def test_a_hostile_zip_is_refused_by_name(raw: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_in_child(raw, "z.zip")


def test_an_entry_that_is_longer_than_it_says_is_not_read_on() -> None:
    """A bomb that hides behind a small number in the index."""
    with pytest.raises(BadInput):
        parse_in_child(lying(zipped("a.json", b"0" * 400_000_000), 24, 100), "bomb.zip")


@pytest.mark.parametrize("depth", [33, 200, 5_000, 100_000])
def test_json_deeper_than_32_is_refused(depth: int) -> None:
    with pytest.raises(BadInput, match="nested|not valid JSON"):
        parse_in_child(b'{"resourceType": "Bundle", "entry": ' + b"[" * depth + b"]" * depth + b"}", "deep.json")


@pytest.mark.parametrize("change", [{"Rows": 65535, "Columns": 65535}, {"NumberOfFrames": 2**31 - 1}, {"PixelData": b"\0" * 7}])
def test_an_object_that_lies_about_its_pixels_shows_none(change: dict[str, Any]) -> None:
    dataset = pydicom.dcmread(io.BytesIO(film()))
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    image = parse_in_child(stream.getvalue(), "f.dcm")["people"][0]["images"][0]
    assert image["pixel_state"] == "unreadable" and image["pixel_problem"] and image["renditions"] == []


def test_an_accepted_object_is_written_anew_without_what_hid_around_it() -> None:
    """Another kind of file in the preamble, and one behind the last element."""
    plain = film()
    hidden = b"MZ\x90#!/bin/sh\n".ljust(128, b"<") + plain[128:]
    kept = parse_in_child(hidden, "f.dcm")["people"][0]["images"][0]["bytes"]
    assert kept[:128] == b"\0" * 128 and b"/bin/sh" not in kept
    again, before = pydicom.dcmread(io.BytesIO(kept)), pydicom.dcmread(io.BytesIO(plain))
    assert again == before and np.array_equal(again.pixel_array, before.pixel_array)


def test_an_object_that_changes_when_it_is_written_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    raw, save = film(), pydicom.Dataset.save_as

    def forgetful(self: pydicom.Dataset, stream: Any, **options: Any) -> None:
        kept = pydicom.Dataset(self)
        kept.file_meta, kept.preamble = self.file_meta, self.preamble
        kept.PixelData = bytes(len(self.PixelData))
        save(kept, stream, **options)

    monkeypatch.setattr("pydicom.dataset.Dataset.save_as", forgetful)
    with pytest.raises(Unreadable, match="not the same when it is written anew"):
        parse_dicom(raw, "f.dcm")


TOO_MUCH = [
    ({"mrn": "x" * 201}, "record number is longer than 200"), ({"name": "a\x00b"}, "no word has"), ({"mrn": "  "}, "record number is empty"),
    ({"encounters": [{"source": "s", "ward": "w" * 121}]}, "ward is longer than 120"), ({"observations": [{"number": float("inf")}]}, "not a number"),
    ({"images": [{"uid": "1" * 65}]}, "identifier is longer than 64"), ({"images": [{"rows": 2**31}]}, "more than any such number"),
    ({"images": [{"frames": -3}]}, "frames -3 is less or more"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "says"), TOO_MUCH)
def test_what_no_table_can_hold_is_said_by_name(change: dict[str, Any], says: str) -> None:
    person = {"mrn": "1", "mrn_system": "", "name": "", "sex": "unknown"} | change
    with pytest.raises(Unreadable, match=says):
        check_person(person, "a.json")


TABLES = {
    "observations": ("records.Observation", {"text": "value_text"}), "conditions": ("records.Condition", {}), "medications": ("records.Medication", {}),
    "allergies": ("records.Allergy", {}), "encounters": ("records.Encounter", {"id": "the sender's, kept in no column"}), "person": ("records.Patient", {}), "images": ("imaging.Instance", {}),
    "taken_back": ("records.Observation", {"kind": "of the resource, kept in no column"}), "other_numbers": ("records.Patient", {}),
}  # fmt: skip


def test_no_length_is_more_than_its_column_has() -> None:
    compared = 0
    for kind, longest in LONGEST.items():
        label, other = TABLES[kind]
        columns = {one.name: one.max_length for one in apps.get_model(label)._meta.concrete_fields if getattr(one, "max_length", None)}
        for name, letters in longest.items():
            if (column := other.get(name, name)) in columns:
                compared += 1
                assert letters <= columns[column], f"{kind} {name}"
    assert compared > 25


def test_a_picture_is_wrapped_as_before() -> None:
    """The rewriting changes nothing of what we wrote ourselves but nothing at all."""
    image = wrap_picture(np.zeros((4, 4), np.uint8), {"modality": "DX", "body_part": "chest", "view": "PA"}, "1", "k|1")
    assert pydicom.dcmread(io.BytesIO(image["bytes"])).PatientID == "1"
