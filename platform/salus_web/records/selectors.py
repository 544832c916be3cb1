"""Reading patients, always for somebody. `open_patient` is the one way to one patient's page."""

from __future__ import annotations

from typing import Any

from salus_web.accounts.actors import Actor
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.records.models import Patient


def open_patient(*, patient_id: Any, viewer: Actor, looking_at: str, purpose: str = "care") -> Patient:
    """The patient, if this viewer may see them; logged before the caller renders anything.

    Raises Hidden (404, as for an absent id) when there is no live care relation. 1 query and 1 log entry.
    """
    patient = Patient.objects.for_actor(viewer).select_related("site").filter(pk=patient_id).first()
    if patient is None:
        record(Act(f"{looking_at}.read", "patient", str(patient_id), outcome="refused", purpose=purpose), by=viewer)
    authorize(viewer, "patient.read", Resource("patient", str(patient_id), in_scope=patient is not None))
    record(Act(f"{looking_at}.read", "patient", str(patient.pk), patient.pseudonym, purpose), by=viewer)
    return patient
