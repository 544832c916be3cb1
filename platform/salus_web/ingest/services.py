"""The door's two steps: receive bytes (now), read and store them (in a worker). Stored whole or refused whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from salus_web.accounts.models import Site
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import allowed_at
from salus_web.accounts.selectors import actor_by_id
from salus_web.audit.services import Act, record
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput
from salus_web.common.keyring import note_holds
from salus_web.common.trouble import check_room
from salus_web.common.vault import SEGMENT_BYTES
from salus_web.imaging.services import store_images
from salus_web.ingest.child import parse_in_child
from salus_web.ingest.incoming import Incoming
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.parsers.archive import holds_case_table
from salus_web.jobs.services import enqueue
from salus_web.records.brought import check_may_bring
from salus_web.records.services import hold_people, store_person, whom_it_names


@transaction.atomic
def receive(*, filename: str, content: bytes | Incoming, site: Site, by: Any) -> Upload:
    """Keep the raw bytes with their hash and queue their reading. Bytes that are already stored here, or on
    their way from the same person, are marked unchanged and not read again."""
    authorize(by, "upload.create", Resource("upload", in_scope=allowed_at(by, "upload.create", site.pk)))
    incoming = content if isinstance(content, Incoming) else _brought(filename, content)
    try:
        return _keep(filename, incoming, site, by)
    finally:
        if incoming is not content:
            incoming.close()


def _brought(filename: str, content: bytes) -> Incoming:
    """Bytes that a command read by itself, as if they had come over the wire."""
    if len(content) > settings.SALUS_UPLOAD_LIMIT_BYTES:
        raise BadInput(f"{filename} is larger than {settings.SALUS_UPLOAD_LIMIT_BYTES >> 20} MB.")
    incoming = Incoming(filename)
    for start in range(0, len(content), SEGMENT_BYTES):
        incoming.write(content[start : start + SEGMENT_BYTES])
    return incoming


def _keep(filename: str, incoming: Incoming, site: Site, by: Any) -> Upload:
    """The row of what came, and its job. What is here already leaves no second copy."""
    blob = incoming.finish()
    if Upload.objects.filter(site=site, blob_sha256=blob.sha256, state=UploadState.ERASED).exists():
        raise BadInput("This file was erased together with a person it held, so it is not read again. Bring in a file without them.")
    # what somebody else sent may be refused where this is not
    same = Q(state=UploadState.STORED) | Q(state__in=[UploadState.RECEIVED, UploadState.PARSING], received_by=by.id)
    before = Upload.objects.filter(same, site=site, blob_sha256=blob.sha256).first()
    upload = Upload(
        id=incoming.upload_id, site=site, blob_sha256=blob.sha256, blob_bytes=blob.size_bytes, received_by=by.id, received_at=now(),
        blob_key=blob.key if before is None else before.blob_key,
        state=UploadState.RECEIVED if before is None else UploadState.UNCHANGED,
    )  # fmt: skip
    upload.filename = filename
    upload.save(force_insert=True)
    record(Act("upload.receive", "upload", str(upload.pk), detail={"sha256": blob.sha256, "state": upload.state}), by=by)
    if before is None:
        kind = "load_cases" if holds_case_table(incoming.beginning, incoming.end) else "ingest_upload"
        upload.job = enqueue(
            kind=kind, unique_key=f"ingest:{upload.pk}", payload={"upload_id": str(upload.pk)}, by=by,
            title="Reading a case table" if kind == "load_cases" else "Reading an upload",
        )  # fmt: skip
        upload.save(update_fields=["job"])
        incoming.is_kept = True
    vault.settle()  # said to be here means on the disk
    return upload


def read_and_store(
    *, upload: Upload, by: Any, then: Callable[[list[str]], None] = lambda patients: None
) -> list[str]:
    """Parse an upload in the child and store all of it in one transaction; returns the patients' ids.

    `then` is called with them inside that transaction (the job's end, the risks to ask anew), so that all of it
    stands or falls together. A refusal is kept on the upload with its sentence, stores nothing of the file, and
    calls `then` with no patient.
    """
    check_room(upload.blob_bytes)  # what is read becomes rows, which have no door of their own
    Upload.objects.filter(pk=upload.pk).update(state=UploadState.PARSING)
    try:
        pieces = vault.pieces(upload.blob_key, sha256=upload.blob_sha256)
        parsed = parse_in_child(pieces, upload.filename, size_bytes=upload.blob_bytes, received_at=upload.received_at)
        check_may_bring(people=parsed["people"], site=upload.site, by=actor_by_id(upload.received_by))
        with transaction.atomic():
            patients, replaced, counts = _store(parsed, upload, by)
            note_holds(f"upload:{upload.pk}", persons=[f"person:{key}" for key in dict.fromkeys([*patients, *replaced])])
            settle(upload=upload, state="stored", by=by, form=parsed["form"], counts=counts)
            then(patients)
    except BadInput as refusal:
        with transaction.atomic():
            settle(upload=upload, state="refused", by=by, problems=[str(refusal)])
            then([])
        return []
    return patients


def _store(parsed: dict[str, Any], upload: Upload, by: Any) -> tuple[list[str], list[str], dict[str, int]]:
    """Who has new data; whom the file is of as well, as a record that must no longer be used; and what was counted."""
    counts: dict[str, int] = {"images": 0}
    patients: list[str] = []
    replaced: list[str] = []
    hold_people(people=parsed["people"], site=upload.site, by=by)
    for person in parsed["people"]:
        if person.get("is_replaced"):
            replaced += whom_it_names(person=person, site=upload.site, by=by)
            continue
        stored = store_person(person=person, site=upload.site, brought_by=upload.received_by, by=by)
        counts["images"] += store_images(patient=stored.patient, images=person["images"], by=by)
        for kind, number in stored.new.items():
            counts[kind] = counts.get(kind, 0) + number
        patients.append(str(stored.patient.pk))
    counts |= {f"left out: {kind}": number for kind, number in parsed["left_out"].items()}
    return list(dict.fromkeys(patients)), replaced, counts


def settle(*, upload: Upload, state: str, by: Any, **columns: Any) -> None:
    """The upload's last state, logged, in the caller's transaction: what was stored, or why nothing was (`problems`)."""
    upload.problems = columns.pop("problems", [])
    Upload.objects.filter(pk=upload.pk).update(
        state=state, finished_at=now(), problems_sealed=upload.problems_sealed, **columns
    )
    outcome = "refused" if state == "refused" else "done"
    record(Act("upload.settle", "upload", str(upload.pk), outcome=outcome, detail={"state": state}), by=by)
