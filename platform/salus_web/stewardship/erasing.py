"""Erasing one person: the key of their data is destroyed, and in the same transaction every row that could still tell who
they were is deleted or blanked. Decided elsewhere, by two people; here it is only done, also again after a restore.

What stays, and why, is written in `holdings.KEPT` and in docs/administrator/consent-retention-erasure.md.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q

from salus_web.access.models import AccessRequest
from salus_web.audit.services import Act, record
from salus_web.common import erased_list, keyring, vault
from salus_web.common.clock import now
from salus_web.ingest.models import Upload, UploadState
from salus_web.records.models import CareRelation, DestroyedKey, LegalHold, Patient
from salus_web.records.personal_keys import destroy_person_key
from salus_web.stewardship.follow_ups import ERASURE, note_follow_ups
from salus_web.stewardship.holdings import KEEPER, Amount, delete_of
from salus_web.stewardship.models import RetentionItem

TOLD_FOR = timedelta(days=90)


@transaction.atomic
def erase_person(*, patient: Patient, reason: str, by: Any, again: bool = False) -> Amount:
    """Erase a person for ever; returns how many rows and files went. `again` after a restore: a hold that the older copy
    still knew of does not bring the person back. Twice changes nothing."""
    held = Patient.objects.for_actor(KEEPER).select_for_update().get(pk=patient.pk)
    if held.erased_at is not None:
        return Amount()
    note_follow_ups(patient=held, why=ERASURE, by=by)
    destroy_person_key(patient_id=held.pk, by=by, reason=reason, despite_holds=again)
    gone, files = delete_of(held.pk, "record")
    files += _forget_uploads(held)
    _blank(held)
    _shorten_relations(held)
    detail = {"rows": gone.rows, "files": len(files), "again": again}
    record(Act("patient.erase", "patient", str(held.pk), held.pseudonym, detail=detail), by=by)
    transaction.on_commit(partial(_afterwards, str(held.pk), files))
    return Amount(gone.rows, len(files))


def _blank(patient: Patient) -> None:
    """What is left of the person's own row: its id, its pseudonym (the log's lines stay one person's), the hospital."""
    Patient.objects.for_actor(KEEPER).filter(pk=patient.pk).update(
        erased_at=now(), mrn_system="", mrn_sealed=b"", mrn_index=f"erased:{patient.pseudonym}", name_sealed=b"",
        birth_date=None, sex="unknown", died_at=None, created_at=now(),
    )  # fmt: skip
    RetentionItem.objects.for_actor(KEEPER).filter(patient_id=patient.pk).update(last_at=None)
    LegalHold.objects.for_actor(KEEPER).filter(patient_id=patient.pk).update(reason_sealed=b"", lifted_why="")


def _shorten_relations(patient: Patient) -> None:
    """Relations that are over go, as their days and wards tell of stays; those that hold say for 90 days more that the
    person was erased, and nothing else. What was written when one of them was asked for and granted goes as well."""
    moment, rows = now(), CareRelation.objects.filter(patient_id=patient.pk)
    AccessRequest.objects.filter(relation__in=rows).update(reason_sealed=b"", answer_sealed=b"")
    rows.filter(ends_at__lte=moment).delete()
    rows.filter(starts_at__gt=moment).delete()
    rows.update(reason_sealed=b"", starts_at=moment)
    rows.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment + TOLD_FOR)).update(ends_at=moment + TOLD_FOR)


def _forget_uploads(patient: Patient) -> list[str]:
    """Raw files that brought the person, which go with them whole: their names, words and counts; returns their files."""
    ids = [owner.partition(":")[2] for owner in keyring.holding(f"person:{patient.pk}")]
    rows = Upload.objects.filter(pk__in=ids)
    files = [key for key in rows.values_list("blob_key", flat=True) if key]
    # a file that came twice has one blob, and a row for each time it came
    every = Upload.objects.filter(Q(pk__in=ids) | Q(blob_key__in=files))
    every.update(state=UploadState.ERASED, filename_sealed=b"", problems_sealed=b"", counts={}, options={}, blob_key="")
    return files


def _afterwards(patient_id: str, files: list[str]) -> None:
    """Once it is kept: the line outside the database by which a restored copy is cleared again, and the files."""
    keep_list()
    for key in files:
        vault.delete(key)


def keep_list() -> None:
    """Bring the list outside the database up to what the database knows; after a crash between the two as well."""
    rows = DestroyedKey.objects.values_list("person_id", "pseudonym", "decided_at")
    erased_list.add([(str(pk), pseudonym, at.isoformat()) for pk, pseudonym, at in rows])
