"""What a FHIR resource says of itself: that it is not so, or that it puts right what was said before. Pure.

Status, verificationStatus and doNotPerform are modifier elements (FHIR R4, 2.1.0.1): who passes over them reads the opposite.
"""

from __future__ import annotations

from typing import Any

# R4's value sets: observation-status, medicationrequest-status, encounter-status; condition-ver-status and allergyintolerance-verification
NOT_SO = {
    "Observation": frozenset({"entered-in-error", "cancelled"}),
    "MedicationRequest": frozenset({"entered-in-error", "cancelled", "draft"}),
    "Encounter": frozenset({"entered-in-error", "cancelled"}),
}
NOT_VERIFIED = frozenset({"entered-in-error", "refuted"})
PUT_RIGHT = frozenset({"corrected", "amended"})


def is_taken_back(resource: dict[str, Any]) -> bool:
    """Whether it says that what it tells was an error, was ruled out, or is not to be done."""
    kind = resource["resourceType"]
    if resource.get("status") in NOT_SO.get(kind, ()) or (kind == "MedicationRequest" and resource.get("doNotPerform") is True):
        return True
    said = resource.get("verificationStatus")
    codings = said.get("coding") or [] if kind in {"Condition", "AllergyIntolerance"} and isinstance(said, dict) else []
    return any(isinstance(coding, dict) and coding.get("code") in NOT_VERIFIED for coding in codings)


def is_corrected(observation: dict[str, Any]) -> bool:
    """Whether an Observation replaces an earlier one of the same id."""
    return observation.get("status") in PUT_RIGHT
