"""Destroying a person's data key, so that what was sealed with it is noise in every copy. Rows are erased elsewhere."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction

from salus_web.accounts.actors import system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common import keyring
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, StateConflict
from salus_web.records.holds import live_holds
from salus_web.records.models import DestroyedKey, Patient
from salus_web.records.sealing import bring_under_own_key

_KEYS = system("keys")


@transaction.atomic
def destroy_person_key(*, patient_id: Any, by: Any, reason: str, despite_holds: bool = False) -> DestroyedKey:
    """Destroy a person's data key for ever, and those of the raw uploads known to hold them. Nobody can undo it.

    What an earlier version sealed with a master key is brought under the person's key first. The decision and its line in
    the log are one transaction; the key goes once that is kept, and `finish_destroying` repeats what a crash left undone.
    Twice changes nothing. Raises BadInput without a reason, Hidden for an absent person, and StateConflict while a legal hold
    stands; `despite_holds` is for a person who was erased already and came back with an older copy.
    """
    authorize(by, "keys.destroy", Resource("patient", str(patient_id)))
    if not reason.strip():
        raise BadInput("Say why this person's data is to be made unreadable. Name no patient.")
    held = DestroyedKey.objects.filter(pk=patient_id).first()
    if held is not None:
        transaction.on_commit(partial(_finish, held))
        return held
    patient = Patient.objects.for_actor(_KEYS).filter(pk=patient_id).first()
    if patient is None:
        raise Hidden("There is no such patient.")
    if not despite_holds and live_holds(patient_ids=[patient.pk]):
        raise StateConflict("A legal hold stands on this patient, so nothing of them may be erased.")
    bring_under_own_key(patient.pk)
    row = DestroyedKey.objects.create(
        person_id=patient.pk, pseudonym=patient.pseudonym, reason=reason.strip()[:200], decided_by=by.id, decided_at=now()
    )
    record(Act("key.destroy", "patient", str(patient.pk), patient.pseudonym), by=by)
    transaction.on_commit(partial(_finish, row))
    return row


def finish_destroying(*, by: Any) -> int:
    """Destroy again every key that was decided on and is still there: after a crash, or after an older copy of the keys was
    put back. Returns how many went."""
    authorize(by, "keys.destroy", Resource("patient"))
    found = [row for row in DestroyedKey.objects.all() if not keyring.is_destroyed(f"person:{row.person_id}")]
    for row in found:
        _finish(row)
    return len(found)


def _finish(row: DestroyedKey) -> None:
    """The key itself, then the note that it is gone."""
    keyring.destroy(f"person:{row.person_id}")
    if row.done_at is None:
        row.done_at = now()
        row.save(update_fields=["done_at"])
