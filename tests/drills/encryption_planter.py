"""Brings files with planted words through the real door until it is done or killed.

`python -m tests.drills.encryption_planter SEED COUNT DONE`: file number n of the seed holds the words that `planted(SEED, n)` names;
numbers are noted in DONE once they are stored, so that another run goes on after them.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import django

django.setup()

import numpy as np  # noqa: E402 - Django must be up first
import pydicom  # noqa: E402
from salus_web.accounts.actors import system  # noqa: E402
from salus_web.accounts.models import Site  # noqa: E402
from salus_web.ingest.parsers.dicom import wrap_picture  # noqa: E402
from salus_web.ingest.services import read_and_store, receive  # noqa: E402

from tests.drills.encryption_words import PIXEL_BYTES, READABLE, planted  # noqa: E402

DRILL = system("drill")
NOTE = "Rang this morning about {}, asks for a call back before the visit"


def record(words: dict[str, str], number: int) -> bytes:
    """A FHIR bundle: name, record number, reason of the stay, note; and the words that stay readable."""
    reference = {"reference": "urn:uuid:p"}
    when = "2026-01-02T03:04:05Z"
    code = {"coding": [{"system": "urn:planted", "code": READABLE["code"], "display": READABLE["display"]}]}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": f"p{number}", "birthDate": "1963-04-02",
         "identifier": [{"system": READABLE["number system"], "value": words["record number"]}],
         "name": [{"given": [words["given name"]], "family": words["family name"]}]},
        {"resourceType": "Encounter", "id": "e", "subject": reference, "period": {"start": when}, "class": {"code": "IMP"},
         "location": [{"location": {"display": READABLE["ward"]}}], "reasonCode": [{"coding": [{"display": words["reason"]}]}]},
        {"resourceType": "Observation", "id": "o1", "subject": reference, "effectiveDateTime": when, "code": code,
         "valueString": NOTE.format(words["note"])},
        {"resourceType": "Observation", "id": READABLE["resource id"], "subject": reference, "effectiveDateTime": when,
         "code": code, "valueString": READABLE["short word"]},
    ]  # fmt: skip
    entries = [{"fullUrl": "urn:uuid:p" if n == 0 else "", "resource": r} for n, r in enumerate(resources)]
    return json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}).encode()


def film(words: dict[str, str], number: int) -> bytes:
    """A DICOM object: name, number, description, and a pattern in the pixels."""
    pixels = np.zeros((64, PIXEL_BYTES), np.uint8)
    pixels[7] = np.frombuffer(bytes.fromhex(words["pixels"]), np.uint8)
    pixels[8] = 255 - pixels[7]  # so that the whole range is there and no scaling changes the pattern
    spec = {"modality": "DX", "body_part": "CHEST", "view": "PA"}
    dataset = pydicom.dcmread(io.BytesIO(wrap_picture(pixels, spec, words["record number"], f"{words['pixels']}|{number}")["bytes"]))
    dataset.PatientName = f"{words['family name']}^{words['given name']}"
    dataset.StudyDescription = words["description"]
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def refused(words: dict[str, str]) -> bytes:
    """A file whose refusal quotes it."""
    bundle = {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "birthDate": words["refused"],
              "identifier": [{"value": words["record number"]}]}}]}  # fmt: skip
    return json.dumps(bundle).encode()


def main(seed: str, count: int, done: Path) -> None:
    """Store what is not stored yet."""
    logging.getLogger().setLevel(logging.DEBUG)
    site, _ = Site.objects.get_or_create(code="drill", defaults={"name": "Drill"})
    stored = {int(line) for line in done.read_text().split()} if done.exists() else set()
    notes = os.open(done, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in sorted(set(range(count)) - stored):
        words = planted(seed, number)
        files = [(f"{words['file name']}.json", record(words, number)), (f"{words['image name']}.dcm", film(words, number)),
                 (f"{words['refused name']}.json", refused(words))]  # fmt: skip
        for name, content in files:
            upload = receive(filename=name, content=content, site=site, by=DRILL)
            if upload.state == "received":
                read_and_store(upload=upload, by=DRILL)
            upload.refresh_from_db()
            expected = {"refused"} if content == files[2][1] else {"stored", "unchanged"}
            assert upload.state in expected, f"{number}: {upload.state} {hashlib.sha256(content).hexdigest()}"
        os.write(notes, f"{number}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
