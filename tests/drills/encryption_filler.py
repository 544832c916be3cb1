"""Patients as an earlier version kept them, sealed with the master key alone; and the check that all of them still read.

`python -m tests.drills.encryption_filler fill N`, `… check N FILE` (prints JSON; FILE names what a writer acknowledged).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import django

django.setup()

from django.db import transaction  # noqa: E402 - Django must be up first
from salus_web.accounts.actors import system  # noqa: E402
from salus_web.accounts.models import Site  # noqa: E402
from salus_web.common import vault  # noqa: E402
from salus_web.common.clock import now  # noqa: E402
from salus_web.common.encryption import key_name, seal  # noqa: E402
from salus_web.common.errors import IntegrityBroken  # noqa: E402
from salus_web.imaging.models import Instance, Rendition, Series, Study  # noqa: E402
from salus_web.records.models import Encounter, Patient  # noqa: E402

DRILL = system("drill")
SPACE = UUID("5a1005ee-0000-4000-8000-000000000001")
ROWS_AT_ONCE = 500


def body(number: int, kind: str, size: int) -> bytes:
    """Bytes that the number tells."""
    return (hashlib.sha256(f"{number} {kind}".encode()).digest() * (size // 32 + 1))[:size]


def legacy(row: Any, column: str, text: str) -> None:
    """Seal as earlier versions did."""
    setattr(row, column, seal(text.encode(), bound_to=f"{row._meta.db_table}.{column}.{row.pk}"))


def patients(site: Site, numbers: range) -> Iterator[list[Any]]:
    """Each patient with a stay, an image of 20 kB and its thumbnail of 3 kB: five sealed values and two blobs."""
    for number in numbers:
        key = uuid5(SPACE, str(number))
        patient = Patient(id=key, site=site, pseudonym=key.hex, mrn_index=key.hex, created_at=now())
        legacy(patient, "mrn_sealed", f"MRN{number}")
        legacy(patient, "name_sealed", f"Name {number}")
        common = {"id": key, "patient": patient}
        stay = Encounter(**common, kind="IMP", starts_at=now(), source="drill", source_key=key.hex)
        legacy(stay, "reason_sealed", f"reason {number}")
        study = Study(**common, uid="1", started_at=now())
        legacy(study, "description_sealed", f"study {number}")
        series = Series(**common, study=study, uid="2", modality="DX")
        image, small = vault.put(body(number, "image", 20_000)), vault.put(body(number, "thumbnail", 3_000))
        instance = Instance(
            **common, series=series, uid="3", sop_class="x", transfer_syntax="y", acquired_at=now(), blob_key=image.key,
            blob_sha256=image.sha256, blob_bytes=image.size_bytes,
        )  # fmt: skip
        legacy(instance, "source_sealed", f"source {number}")
        rendition = Rendition(
            **common, instance=instance, kind="thumbnail", width=1, height=1, blob_key=small.key, blob_sha256=small.sha256,
            original_sha256=image.sha256,
        )  # fmt: skip
        yield [patient, stay, study, series, instance, rendition]


def fill(count: int) -> None:
    """Store so many patients, and one blob that belongs to nobody."""
    site, _ = Site.objects.get_or_create(code="drill", defaults={"name": "Drill"})
    vault.put(b"a model of many" * 1000)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = list(patients(site, range(start, min(start + ROWS_AT_ONCE, count))))
        with transaction.atomic():
            for column in zip(*rows, strict=True):
                type(column[0]).objects.bulk_create(column)


def whole(row: Instance, number: int) -> bool:
    """Whether a patient reads as they were stored."""
    patient, small = row.patient, Rendition.objects.for_actor(DRILL).get(instance=row)
    stay = Encounter.objects.for_actor(DRILL).get(patient=patient)
    words = (patient.mrn, patient.name, stay.reason, row.series.study.description, row.source)
    expected = (f"MRN{number}", f"Name {number}", f"reason {number}", f"study {number}", f"source {number}")
    bodies = vault.get(row.blob_key, sha256=row.blob_sha256), vault.get(small.blob_key, sha256=small.blob_sha256)
    return words == expected and bodies == (body(number, "image", 20_000), body(number, "thumbnail", 3_000))


def check(count: int, acknowledged: Path) -> dict[str, int]:
    """How many patients, and rows and blobs that a writer acknowledged, do not read as they were stored."""
    rows = Instance.objects.for_actor(DRILL).select_related("patient", "series__study").in_bulk()
    wrong = 0
    for number in range(count):
        try:
            wrong += not whole(rows[uuid5(SPACE, str(number))], number)
        except (IntegrityBroken, KeyError):
            wrong += 1
    lost, lines = 0, acknowledged.read_text().splitlines() if acknowledged.exists() else []
    for line in lines:
        key, blob, sha256 = line.split()
        try:
            row = Patient.objects.for_actor(DRILL).get(pk=key)
            lost += row.name != f"Name {key}" or vault.get(blob, sha256=sha256) != key.encode()
        except (IntegrityBroken, Patient.DoesNotExist):
            lost += 1
    masters = sum(not key_name(value).owned for value in Patient.objects.for_actor(DRILL).values_list("name_sealed", flat=True))
    return {"wrong": wrong, "lost": lost, "acknowledged": len(lines), "under_a_master_key": masters}


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    else:
        sys.stdout.write(json.dumps(check(int(sys.argv[2]), Path(sys.argv[3]))))
