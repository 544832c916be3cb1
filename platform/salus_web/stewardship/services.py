"""Recording what a patient said, with what follows from it, and legal holds. Erasures and retention have files of their own."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from django.db import transaction

from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common import wall
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, StateConflict
from salus_web.records.consent import keep_statement
from salus_web.records.models import Consent, LegalHold, Patient
from salus_web.records.scopes import CARE
from salus_web.stewardship.follow_ups import note_follow_ups
from salus_web.stewardship.holdings import KEEPER
from salus_web.stewardship.reasons import own_patient, reason_of


@transaction.atomic
def record_consent(
    *, patient: Patient, purpose: str, granted: bool, form: str, said_on: date | None, by: Any
) -> tuple[Consent, int]:
    """Keep what a patient said. A withdrawal lists the exports and bundles that hold them; returns how many were listed."""
    row = keep_statement(patient=patient, purpose=purpose, granted=granted, form=form, said_on=said_on, by=by)
    listed = 0 if granted or purpose == CARE else note_follow_ups(patient=patient, why=purpose, by=by)
    return row, listed


@transaction.atomic
def set_hold(*, patient: Patient, reason: str, until: datetime | None, by: Any) -> LegalHold:
    """From now on nothing of this patient may be erased, for a reason, until a day or until somebody lifts it."""
    authorize(by, "keeping.change", Resource("patient", str(patient.pk)))
    patient, reason = own_patient(patient, action="keeping.change", by=by), reason_of(reason)
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
    patient, why = own_patient(hold.patient, action="keeping.change", by=by), reason_of(why)
    lifted = LegalHold.objects.for_actor(KEEPER).filter(pk=hold.pk, lifted_at__isnull=True)
    if not lifted.update(lifted_at=now(), lifted_by_name=by.name, lifted_why=why):
        raise StateConflict("This hold was lifted already.")
    record(Act("hold.lift", "hold", str(hold.pk), patient.pseudonym), by=by)
