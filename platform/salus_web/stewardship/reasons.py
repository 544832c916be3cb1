"""What every decision here begins with: a patient of one's own hospital, and a sentence why."""

from __future__ import annotations

from typing import Any

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


def own_patient(patient: Patient, by: Any) -> Patient:
    """The row as it is now and held; Hidden for a patient of another hospital."""
    found: Patient | None = Patient.objects.for_actor(KEEPER).select_for_update().filter(pk=patient.pk).first()
    if found is None or not (by.is_system or str(found.site_id) in by.site_ids):
        raise Hidden("There is no such page.")
    return found
