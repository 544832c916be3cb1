"""The patient banner, on every page about one patient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from salus_web.access.selectors import Broken, open_on
from salus_web.audit.selectors import people_who_looked
from salus_web.common.clock import now
from salus_web.records.models import Patient
from salus_web.records.selectors import banner_facts


@dataclass(frozen=True, slots=True)
class Banner:
    """Who this is, where, what to beware of, why you may look, how many others did, and who broke the glass."""

    patient: Patient
    name: str
    age_years: int | None
    sex: str
    number_end: str
    ward: str
    allergies: list[str]
    more_allergies: int
    care: str
    seen_by: int
    mine: Broken | None
    others: list[Broken]


def age_in_years(born: date | None, on: date) -> int | None:
    """Whole years."""
    if born is None:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def banner(patient: Patient, viewer: Any) -> Banner:
    """The banner of one patient (5 queries)."""
    broken = open_on(viewer=viewer, patient=patient)
    facts = banner_facts(viewer=viewer, patient=patient)
    return Banner(
        patient=patient, name=patient.name or "no name recorded", age_years=age_in_years(patient.birth_date, now().date()),
        sex={"female": "F", "male": "M", "other": "other"}.get(patient.sex, "sex not recorded"),
        number_end=patient.number_end, ward=facts.ward, allergies=facts.allergies,
        more_allergies=facts.more_allergies, care=facts.care,
        seen_by=people_who_looked(pseudonym=patient.pseudonym, since=now() - timedelta(hours=24)),
        mine=next((row for row in broken if row.is_mine), None), others=[row for row in broken if not row.is_mine],
    )  # fmt: skip
