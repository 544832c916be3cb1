"""A zip of a case table, its images and its task file goes through the door; then its training is queued."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from salus_web.accounts.actors import system
from salus_web.accounts.selectors import actor_by_id
from salus_web.common import vault
from salus_web.common.errors import BadInput
from salus_web.common.keyring import note_holds
from salus_web.common.memory_place import open_folder
from salus_web.common.trouble import check_room
from salus_web.imaging.services import put_pictures_right, store_images
from salus_web.ingest.child import read_in_child
from salus_web.ingest.models import Upload
from salus_web.ingest.services import settle
from salus_web.jobs.services import Claim, enqueue, finish
from salus_web.predictions.services import data_changed
from salus_web.records.brought import check_may_bring
from salus_web.records.cases import note_table
from salus_web.records.services import hold_people, store_person
from salus_web.registry.services import register_task_file

ACTOR = system("load_cases")
CHILD = "salus_workers.adapters.cases_child"
REFUSED = "The file was refused. The reason stands with it on the page Uploads."


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Store every case of the upload or none. Raises BadInput with the sentence of the refusal."""
    upload = Upload.objects.select_related("site").get(pk=claim.payload["upload_id"])
    try:
        _read_and_store(claim, upload, report)
    except BadInput as refusal:
        with transaction.atomic():
            settle(upload=upload, state="refused", by=ACTOR, form="cases", problems=[str(refusal)])
        # the sentence may quote the file: it is sealed with the upload, and a job's failure is read by more people
        raise BadInput(REFUSED) from None


def _read_and_store(claim: Claim, upload: Upload, report: Callable[[float, str], None]) -> None:
    check_room(upload.blob_bytes)  # a table without images becomes rows alone, which have no door of their own
    people: list[dict[str, Any]] = []
    task: dict[str, str] = {}
    counted: dict[str, int] = {}
    with open_folder("salus-cases-", size_bytes=2 * upload.blob_bytes) as folder:
        head = {"name": upload.filename, "folder": str(folder), "taken_at": upload.received_at.isoformat()}
        pieces = vault.pieces(upload.blob_key, sha256=upload.blob_sha256)
        for part in read_in_child(CHILD, head, pieces, size_bytes=upload.blob_bytes):
            people += part.get("people", [])
            task, counted = part.get("task", task), part.get("counts", counted)
            report(0.4, "reading the cases")
    report(0.5, "the cases were read")
    check_may_bring(people=people, site=upload.site, by=actor_by_id(upload.received_by))
    with transaction.atomic():
        _store(task, people, counted, upload)
        finish(claim=claim, result={"cases": len(people)}, by=ACTOR)


def _store(task: dict[str, str], people: list[dict[str, Any]], counted: dict[str, int], upload: Upload) -> None:
    task_file = register_task_file(
        text=task["text"], task_id=task["id"], title=task["title"], digest=task["digest"], by=ACTOR, brought_by=upload.received_by
    )
    holds, touched, cases, corrected = list[str](), list[str](), list[Any](), 0
    hold_people(people=people, site=upload.site, by=ACTOR)
    for person in people:
        stored = store_person(person=person, site=upload.site, brought_by=upload.received_by, by=ACTOR)
        holds.append(f"person:{stored.patient.pk}")
        films = store_images(patient=stored.patient, images=stored.images, encounters=stored.encounters, by=ACTOR)
        slots = {stored.encounters[case["id"]]: case["slots"] for case in person["encounters"]}
        moved = put_pictures_right(patient=stored.patient, images=stored.images, slots=slots, by=ACTOR)
        cases += stored.encounters.values()
        corrected += bool(stored.new["corrected"] or moved)
        if films or moved or any(stored.new.values()):
            touched.append(str(stored.patient.pk))
    note_table(case_ids=cases, upload_id=upload.pk, by=ACTOR)
    # the risks themselves come with the training that is queued below
    data_changed(patient_ids=touched, by=ACTOR, ask=False)
    note_holds(f"upload:{upload.pk}", persons=holds)
    counts = {"cases": len(people)} | ({"corrected": corrected} if corrected else {}) | counted
    settle(upload=upload, state="stored", by=ACTOR, form="cases", counts=counts)
    enqueue(
        kind="train_task", unique_key=f"train:{task_file.pk}:{upload.pk}", queue="gpu",
        payload={"task_file_id": str(task_file.pk), "upload_id": str(upload.pk), "asked_by": upload.received_by}, title=f"Training: {task['title']}", by=ACTOR,
    )  # fmt: skip
