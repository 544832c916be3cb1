"""What every decision here begins with: a patient of one's own hospital, and a sentence why."""

from __future__ import annotations

from typing import Any

from salus_web.accounts.places import where_allowed
from salus_web.common.errors import BadInput, Hidden
from salus_web.records.models import Patient
from salus_web.stewardship.holdings import KEEPER

LONGEST = 200


def reason_of(text: str) -> str:
    """A reason in one line. Raises BadInput without one."""
    text = " ".join(text.split())
    if not 0 < len(text) <= LONGEST:
        raise BadInput(f"Reason: say why, in at most {LONGEST} letters. Name no patient.")
    return text


def own_patient(patient: Patient, *, action: str, by: Any) -> Patient:
    """The row as it is now and held; Hidden for a patient of a hospital where this person may not do this."""
    rows = Patient.objects.for_actor(KEEPER).filter(where_allowed(by, action), pk=patient.pk)
    found: Patient | None = rows.select_for_update().first()
    if found is None:
        raise Hidden("There is no such page.")
    return found
