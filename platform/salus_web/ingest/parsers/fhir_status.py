"""What a FHIR resource says of itself: that it is not so, or that it puts right what was said before. Pure.

Status, verificationStatus, clinicalStatus, intent, doNotPerform and a Patient's link are modifier elements (FHIR R4, 2.1.0.1): who passes over them reads the opposite.
"""

from __future__ import annotations

from typing import Any

# R4's value sets: observation-status, medicationrequest-status, encounter-status; condition-ver-status and allergyintolerance-verification
NOT_SO = {
    "Observation": frozenset({"entered-in-error", "cancelled"}),
    "MedicationRequest": frozenset({"entered-in-error", "draft"}),
    "Encounter": frozenset({"entered-in-error", "cancelled"}),
}
NOT_VERIFIED = frozenset({"entered-in-error", "refuted"})
SUSPECTED = frozenset({"unconfirmed", "provisional", "differential"})  # condition-ver-status: no diagnosis yet
PUT_RIGHT = frozenset({"corrected", "amended"})
PRELIMINARY = frozenset({"registered", "preliminary"})  # not verified yet: the final one of the same resource replaces it
# medicationrequest-intent: the rest (proposal, plan, option) is what somebody thought of giving
ORDERED = frozenset({"order", "original-order", "reflex-order", "filler-order", "instance-order"})
NO_LONGER_GIVEN = frozenset({"completed", "stopped", "on-hold", "cancelled"})
NO_LONGER_HAD = frozenset({"inactive", "remission", "resolved"})  # condition-clinical, allergyintolerance-clinical
NOT_BEGUN = "planned"  # encounter-status: who has arrived or was triaged is there
STAY_IS_OVER = frozenset({"finished", "discharged", "completed", "discontinued"})  # encounter-status: R4 has the first, R5 the others
# link-type (R4): the first says that the record must no longer be used; the second that it is the one in use, in place of another
REPLACED = "Patient whom another record replaces (nothing is merged here, so both stay; please tell an administrator)"
REPLACES = "link by which this record replaces another (nothing is merged here, so both stay; please tell an administrator)"
ALSO = "link to another record of the same patient"


def is_taken_back(resource: dict[str, Any]) -> bool:
    """Whether it says that what it tells was an error, was ruled out, or is not to be done."""
    kind = resource["resourceType"]
    if resource.get("status") in NOT_SO.get(kind, ()) or (kind == "MedicationRequest" and _is_no_order(resource)):
        return True
    return kind in {"Condition", "AllergyIntolerance"} and _verified_as(resource, NOT_VERIFIED)


def is_suspected(resource: dict[str, Any]) -> bool:
    """Whether it is a problem that somebody only thinks of. A suspected allergy is shown as one: too much is the safe side."""
    return resource["resourceType"] == "Condition" and _verified_as(resource, SUSPECTED)


def _verified_as(resource: dict[str, Any], codes: frozenset[str]) -> bool:
    said = resource.get("verificationStatus")
    codings = said.get("coding") or [] if isinstance(said, dict) else []
    return any(isinstance(coding, dict) and coding.get("code") in codes for coding in codings)


def _is_no_order(request: dict[str, Any]) -> bool:
    return request.get("doNotPerform") is True or (request.get("intent") or "order") not in ORDERED


def clinical_status(resource: dict[str, Any]) -> str:
    """The code of clinicalStatus; empty where there is none."""
    said = resource.get("clinicalStatus")
    codings = said.get("coding") or [] if isinstance(said, dict) else []
    return next((str(coding["code"]) for coding in codings if isinstance(coding, dict) and coding.get("code")), "")


def is_corrected(observation: dict[str, Any]) -> bool:
    """Whether an Observation replaces an earlier one of the same id."""
    return observation.get("status") in PUT_RIGHT


def is_preliminary(observation: dict[str, Any]) -> bool:
    """Whether an Observation is still to be replaced by a final one of the same id."""
    return observation.get("status") in PRELIMINARY


def is_final(observation: dict[str, Any]) -> bool:
    """Whether an Observation replaces a preliminary one of the same id."""
    return observation.get("status") == "final"


def linked(resource: dict[str, Any]) -> str:
    """What a Patient's links say that is not done here; empty where there are none."""
    kinds = {link.get("type") for link in resource.get("link") or [] if isinstance(link, dict)}
    if "replaced-by" in kinds:
        return REPLACED
    return REPLACES if "replaces" in kinds else ALSO if kinds else ""


def present_ward(locations: list[dict[str, Any]]) -> str:
    """The name of the place of a stay where the patient is: an active one, else one without a status, else one that was; of those the
    one that began last, else stands last (FHIR gives the list no order). Never one that is only planned or reserved."""
    rank = {"active": 2, "": 1, "completed": 0}
    found = [(rank[status], str((one.get("period") or {}).get("start") or ""), at, one)
             for at, one in enumerate(locations) if (status := str(one.get("status") or "")) in rank]  # fmt: skip
    return str((max(found)[3].get("location") or {}).get("display") or "") if found else ""
