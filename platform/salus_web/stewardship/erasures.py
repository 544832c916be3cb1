"""Asking for a person to be erased, and the second person's word. What erasing does is erasing.py's."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.two_people import check_two_people
from salus_web.audit.services import Act, record
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import Refused, StateConflict
from salus_web.records.holds import live_holds
from salus_web.records.models import Patient
from salus_web.stewardship.erasing import erase_person
from salus_web.stewardship.holdings import KEEPER, amount_of
from salus_web.stewardship.models import Decision, Erasure
from salus_web.stewardship.reasons import own_patient, reason_of


@transaction.atomic
def ask_erasure(*, patient: Patient, reason: str, by: Any) -> Erasure:
    """Ask for a person to be erased; a second person decides. What would go is counted now and again when it goes."""
    authorize(by, "keys.destroy", Resource("patient", str(patient.pk)))
    patient, reason = own_patient(patient, action="keys.destroy", by=by), reason_of(reason)
    _check_erasable(patient)
    if Erasure.objects.for_actor(KEEPER).filter(patient=patient, state=Decision.WAITING).exists():
        raise StateConflict("Somebody asked for this already; it waits for a second person.")
    amount = amount_of(patient.pk, "record")
    row = Erasure(
        patient=patient, reason=reason, asked_by=by.id, asked_by_name=by.name, asked_at=now(),
        counts={"rows": amount.rows, "files": amount.files},
    )  # fmt: skip
    with wall.asked_by(wall.SYSTEM):
        row.save(force_insert=True)
    record(Act("erasure.ask", "erasure", str(row.pk), patient.pseudonym, detail=row.counts), by=by)
    return row


@transaction.atomic
def decide_erasure(*, erasure: Erasure, accept: bool, why: str, by: Any) -> Erasure:
    """The second person's word: never that of whoever asked. Agreeing erases at once and for ever.

    Raises Refused where the two are not two people (`accounts.two_people`; a no may come from anybody else), StateConflict for a hold, also one that was set since it was asked for.
    """
    authorize(by, "keys.destroy", Resource("erasure", str(erasure.pk)))
    patient = own_patient(erasure.patient, action="keys.destroy", by=by)
    row = Erasure.objects.for_actor(KEEPER).select_for_update().get(pk=erasure.pk)
    if by.is_system:
        raise Refused("A person has to decide on an erasure.")
    if row.asked_by == by.id:
        raise Refused("You asked for this erasure, so somebody else has to decide.")
    if row.state != Decision.WAITING:
        raise StateConflict(f"This erasure is “{row.get_state_display()}”, so this cannot be done now.")
    why = reason_of(why)
    state, counts = Decision.REFUSED, row.counts
    if accept:
        check_two_people(one=row.asked_by, other=by.id)
        _check_erasable(patient)
        gone = erase_person(patient=patient, reason=row.reason, by=by)
        state, counts = Decision.DONE, {"rows": gone.rows, "files": gone.files}
    Erasure.objects.for_actor(KEEPER).filter(pk=row.pk).update(
        state=state, counts=counts, decided_by_name=by.name, decided_at=now(), why=why
    )
    record(Act("erasure.decide", "erasure", str(row.pk), patient.pseudonym, detail={"decision": str(state)}), by=by)
    row.state, row.counts = state, counts
    return row


def _check_erasable(patient: Patient) -> None:
    if patient.erased_at is not None:
        raise StateConflict("This person was erased already.")
    if live_holds(patient_ids=[patient.pk]):
        raise StateConflict("A legal hold stands on this patient, so nothing of them may be erased.")
