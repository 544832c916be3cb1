"""Deciding what is kept and for how long: consents with what follows from them, legal holds, erasures by two people."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction

from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, Refused, StateConflict
from salus_web.records.consent import keep_statement
from salus_web.records.holds import live_holds
from salus_web.records.models import Consent, LegalHold, Patient
from salus_web.records.scopes import CARE
from salus_web.stewardship.erasing import erase_person
from salus_web.stewardship.follow_ups import note_follow_ups
from salus_web.stewardship.holdings import KEEPER, amount_of
from salus_web.stewardship.models import Decision, Erasure

REASON = 200


@transaction.atomic
def record_consent(
    *, patient: Patient, purpose: str, granted: bool, form: str, said_on: date | None, by: Any
) -> tuple[Consent, int]:
    """Keep what a patient said. A withdrawal lists the exports and bundles that hold them; returns how many were listed."""
    row = keep_statement(patient=patient, purpose=purpose, granted=granted, form=form, said_on=said_on, by=by)
    listed = 0 if granted or purpose == CARE else note_follow_ups(patient=patient, why=purpose, by=by)
    return row, listed


def reason_of(text: str) -> str:
    """A reason in one line. Raises BadInput without one."""
    text = " ".join(text.split())
    if not 0 < len(text) <= REASON:
        raise BadInput(f"Reason: say why, in at most {REASON} letters. Name no patient.")
    return text


def _theirs(patient: Patient, by: Any) -> Patient:
    """The row as it is now and held; Hidden for a patient of another hospital."""
    found: Patient | None = Patient.objects.for_actor(KEEPER).select_for_update().filter(pk=patient.pk).first()
    if found is None or not (by.is_system or str(found.site_id) in by.site_ids):
        raise Hidden("There is no such page.")
    return found


@transaction.atomic
def set_hold(*, patient: Patient, reason: str, until: datetime | None, by: Any) -> LegalHold:
    """From now on nothing of this patient may be erased, for a reason, until a day or until somebody lifts it."""
    authorize(by, "keeping.change", Resource("patient", str(patient.pk)))
    patient, reason = _theirs(patient, by), reason_of(reason)
    if patient.erased_at is not None:
        raise StateConflict("This person was erased already, so there is nothing left to hold.")
    if until is not None and until <= now():
        raise BadInput("Until: the end of a hold must lie ahead.")
    row = LegalHold(patient=patient, set_by=by.id, set_by_name=by.name, set_at=now(), until=until)
    row.reason = reason
    with wall.asked_by(wall.SYSTEM):
        row.save(force_insert=True)
    record(Act("hold.set", "hold", str(row.pk), patient.pseudonym, after={"reason": reason}), by=by)
    return row


@transaction.atomic
def lift_hold(*, hold: LegalHold, why: str, by: Any) -> None:
    """End a hold now, for a reason."""
    authorize(by, "keeping.change", Resource("hold", str(hold.pk)))
    patient, why = _theirs(hold.patient, by), reason_of(why)
    lifted = LegalHold.objects.for_actor(KEEPER).filter(pk=hold.pk, lifted_at__isnull=True)
    if not lifted.update(lifted_at=now(), lifted_by_name=by.name, lifted_why=why):
        raise StateConflict("This hold was lifted already.")
    record(Act("hold.lift", "hold", str(hold.pk), patient.pseudonym), by=by)


@transaction.atomic
def ask_erasure(*, patient: Patient, reason: str, by: Any) -> Erasure:
    """Ask for a person to be erased; a second person decides. What would go is counted now and again when it goes."""
    authorize(by, "keys.destroy", Resource("patient", str(patient.pk)))
    patient, reason = _theirs(patient, by), reason_of(reason)
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

    Raises StateConflict for a hold, also one that was set since it was asked for.
    """
    authorize(by, "keys.destroy", Resource("erasure", str(erasure.pk)))
    patient = _theirs(erasure.patient, by)
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
