"""What a patient allows, by purpose: keeping a new word of theirs, and reading what was said. What must follow from a
withdrawal elsewhere is stewardship's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import transaction
from django.db.models import Max

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Hidden, StateConflict, Withheld
from salus_web.records.models import Consent, Patient
from salus_web.records.scopes import PURPOSES, cared_for, seen_for, silence_allows

_CONSENT = system("consent")
FORM_LENGTH = 120
WORDS = {
    "care": "their own care in Salus: showing the record and computing risks",
    "research": "research: cohorts, safe counts and released files",
    "training": "training and judging models",
}
ERASED = "This person's data was erased. Nothing of it can be read any more, by anybody."


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for one purpose now. `said` is None where nothing was recorded; `allowed` is then the hospital's default."""

    purpose: str
    words: str
    allowed: bool
    said: Consent | None


def open_for_consent(*, patient_id: Any, viewer: Actor) -> Patient:
    """The patient whose consents are to be read or changed, for a clinician in a care relation, also where they do not
    allow anything; logged. Raises Hidden (404, as for an absent id) for strangers, Withheld for an erased person."""
    found = Patient.objects.related_to(viewer).select_related("site").annotate(in_care=cared_for(viewer))
    patient = found.filter(pk=patient_id).first()
    if patient is None:
        named = Patient.objects.for_actor(_CONSENT).filter(pk=patient_id).values_list("pseudonym", flat=True).first()
        record(Act("consent.read", "patient", str(patient_id), named or "", "care", "refused"), by=viewer)
        raise Hidden("There is no such page.", is_logged=True)
    authorize(viewer, "consent.record", Resource("patient", str(patient_id), in_scope=True))
    outcome = "done" if patient.erased_at is None else "erased"
    record(Act("consent.read", "patient", str(patient.pk), patient.pseudonym, seen_for(patient), outcome), by=viewer)
    if patient.erased_at is not None:
        raise Withheld("erased", ERASED)
    return patient


def history_of(*, patient: Patient) -> list[Consent]:
    """Every version of every word of a patient whom the caller has opened, the newest first (1 query)."""
    rows = Consent.objects.for_actor(_CONSENT).filter(patient=patient)
    return list(rows.order_by("-recorded_at", "-version"))


def standing_of(*, patient: Patient) -> list[Standing]:
    """What holds for each purpose now, for a patient whom the caller has opened (1 query)."""
    rows = Consent.objects.for_actor(_CONSENT).filter(patient=patient, superseded_at__isnull=True)
    said = {row.purpose: row for row in rows}
    return [
        Standing(purpose, WORDS[purpose], said[purpose].granted if purpose in said else silence_allows(purpose), said.get(purpose))
        for purpose in PURPOSES
    ]


@transaction.atomic
def keep_statement(
    *, patient: Patient, purpose: str, granted: bool, form: str, said_on: date | None, by: Any
) -> Consent:
    """Keep what a patient said as a new version; the one before stays as it is, and is marked as replaced.

    Raises BadInput for an unknown purpose, no form, or a day that lies ahead; StateConflict once the person was erased.
    """
    theirs = None if by.is_system else Patient.objects.related_to(by).annotate(in_care=cared_for(by)).filter(pk=patient.pk).first()
    authorize(by, "consent.record", Resource("patient", str(patient.pk), in_scope=by.is_system or theirs is not None))
    form, moment = " ".join(form.split()), now()
    if purpose not in PURPOSES:
        raise BadInput("Purpose: choose care, research or training.")
    if not 0 < len(form) <= FORM_LENGTH:
        raise BadInput(f"Form: say on which sheet and version this was said, in at most {FORM_LENGTH} letters.")
    if said_on is not None and said_on > moment.date():
        raise BadInput("Day: what a patient said cannot lie ahead.")
    # two words at once become two versions, one after the other
    held = Patient.objects.for_actor(_CONSENT).select_for_update().filter(pk=patient.pk).first()
    if held is None:
        raise Hidden("There is no such patient.")
    if held.erased_at is not None:
        raise StateConflict("This person's data was erased, so nothing more is recorded of them.")
    row, before = _next_version(held, purpose, granted, form, said_on, by)
    act = Act(
        "consent.record", "patient", str(held.pk), held.pseudonym, seen_for(theirs) if theirs else "",
        detail={"for": purpose, "version": row.version}, before=before, after={"granted": granted},
    )  # fmt: skip
    record(act, by=by)
    return row


def _next_version(
    patient: Patient, purpose: str, granted: bool, form: str, said_on: date | None, by: Any
) -> tuple[Consent, dict[str, bool] | None]:
    """The new version, and what stood before it."""
    moment, rows = now(), Consent.objects.for_actor(_CONSENT).filter(patient=patient, purpose=purpose)
    newest = rows.aggregate(newest=Max("version"))["newest"] or 0
    before = rows.filter(superseded_at__isnull=True).first()
    rows.filter(superseded_at__isnull=True).update(superseded_at=moment)
    row = Consent.objects.create(
        patient=patient, purpose=purpose, version=newest + 1, granted=granted, form=form, said_on=said_on,
        recorded_at=moment, recorded_by=by.id, recorded_by_name=by.name,
    )  # fmt: skip
    return row, None if before is None else {"granted": before.granted}
