"""A zip of a case table, its images and its task file goes through the door; then its training is queued."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

from django.db import transaction
from salus_learn.contracts import RiskTask
from salus_learn.errors import LearnError
from salus_learn.tasks.cases import read_case_rows
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.rows import CaseRow
from salus_web.accounts.actors import system
from salus_web.audit.services import Act, record
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.common.keyring import note_holds
from salus_web.common.memory_place import open_folder
from salus_web.imaging.services import store_images
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.parsers.archive import TASK_FILE
from salus_web.jobs.services import Claim, enqueue, finish
from salus_web.records.services import store_person
from salus_web.registry.services import register_task_file

from salus_workers.adapters.case_tables import person_of_row

ACTOR = system("load_cases")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Store every case of the upload or none. Raises BadInput with the sentence of the refusal."""
    upload = Upload.objects.select_related("site").get(pk=claim.payload["upload_id"])
    try:
        _read_and_store(claim, upload, report)
    except BadInput as refusal:
        with transaction.atomic():
            upload.problems = [str(refusal)]
            Upload.objects.filter(pk=upload.pk).update(
                state=UploadState.REFUSED, form="cases", problems_sealed=upload.problems_sealed, finished_at=now()
            )
            record(Act("upload.settle", "upload", str(upload.pk), outcome="refused", detail={"state": "refused"}), by=ACTOR)
        raise


def _read_and_store(claim: Claim, upload: Upload, report: Callable[[float, str], None]) -> None:
    raw = vault.get(upload.blob_key, sha256=upload.blob_sha256)
    with open_folder("salus-cases-", size_bytes=_unpacked_bytes(raw)) as folder:
        _unpack(raw, folder)
        try:
            task = load_task(folder / TASK_FILE)
            rows = read_case_rows(task, folder)
            people = [person_of_row(task, row, upload.received_at) for row in rows]
        except LearnError as error:
            raise BadInput(str(error)) from None
        report(0.5, f"{len(rows)} cases read")
        with transaction.atomic():
            _store(task, people, rows, upload)
            finish(claim=claim, result={"cases": len(rows)}, by=ACTOR)


def _store(task: RiskTask, people: list[dict[str, object]], rows: list[CaseRow], upload: Upload) -> None:
    holds: list[str] = []
    for person in people:
        stored = store_person(person=person, site=upload.site, by=ACTOR)
        images = person["images"]
        holds.append(f"person:{stored.patient.pk}")
        store_images(patient=stored.patient, images=images, encounters=stored.encounters, by=ACTOR)  # type: ignore[arg-type]
    note_holds(f"upload:{upload.pk}", persons=holds)
    task_file = register_task_file(
        text=task.source_text, task_id=task.id, title=task.title, digest=task.digest, by=ACTOR
    )
    Upload.objects.filter(pk=upload.pk).update(
        state=UploadState.STORED, form="cases", counts={"cases": len(rows)}, finished_at=now()
    )
    record(Act("upload.settle", "upload", str(upload.pk), detail={"state": "stored"}), by=ACTOR)
    enqueue(
        kind="train_task", unique_key=f"train:{task_file.pk}:{upload.blob_sha256[:16]}", queue="gpu",
        payload={"task_file_id": str(task_file.pk), "asked_by": upload.received_by}, title=f"Training: {task.title}", by=ACTOR,
    )  # fmt: skip


def _unpacked_bytes(raw: bytes) -> int:
    """What the zip says it holds; one that is no zip is refused when it is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            return sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        return 0


def _unpack(raw: bytes, folder: Path) -> None:
    """Unpack inside the folder only."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for entry in archive.infolist():
                if not (folder / entry.filename).resolve().is_relative_to(folder.resolve()):
                    raise BadInput(f"The zip names a file outside itself: {entry.filename}.")
            archive.extractall(folder)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise BadInput(f"The zip file of cases cannot be unpacked: {error}.") from None
