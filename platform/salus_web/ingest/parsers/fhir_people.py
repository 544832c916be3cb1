"""Who a FHIR Patient is: numbers that are in use, the name that is, birth and death. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from salus_web.ingest.parsers.fhir_status import REPLACED, linked
from salus_web.ingest.parsers.fhir_times import Clock
from salus_web.ingest.parsers.forms import PersonRecord, Unreadable

SEXES = {"male", "female", "other", "unknown"}
# numbers of a state or an insurer, which a hospital does not give
NOT_A_RECORD_NUMBER = ("http://hl7.org/fhir/sid/us-ssn", "http://hl7.org/fhir/sid/us-medicare", "http://hl7.org/fhir/sid/us-mbi")
NAMES_BEFORE = ("official", "usual")
NAMES_NOT_USED = frozenset({"old", "maiden"})


def person_of(resource: dict[str, Any], place: str, clock: Clock) -> PersonRecord:
    """The person of a Patient resource, with nothing recorded yet. Raises Unreadable."""
    numbers = _numbers(resource, place, clock)
    sex = resource.get("gender", "unknown")
    if sex not in SEXES:
        raise Unreadable(f"{place}: gender “{sex}” is not a FHIR word for it.")
    tags = [tag.get("code") for tag in (resource.get("meta") or {}).get("tag") or []]
    died, has_died = resource.get("deceasedDateTime"), resource.get("deceasedBoolean") is True
    return PersonRecord(
        mrn=numbers[0]["mrn"], mrn_system=numbers[0]["mrn_system"], name=_name(resource),
        birth_date=_date(resource.get("birthDate"), place, "birthDate"), sex=sex,
        died_at=clock.known(died, place, "deceasedDateTime", rough=True) if died else clock.received if has_died else None,
        death_is_dated=not has_died,
        is_simulated="simulated" in tags, other_numbers=numbers[1:], is_replaced=linked(resource) == REPLACED,
    )  # fmt: skip


def _numbers(resource: dict[str, Any], place: str, clock: Clock) -> list[dict[str, str]]:
    """The record numbers in use, the one that is looked for first at the head: all that are typed as such (MR), else one."""
    given = [entry for entry in resource.get("identifier") or [] if isinstance(entry, dict) and entry.get("value")]
    if not given:
        raise Unreadable(f"{place}: the patient has no identifier.")
    used = [entry for entry in given if entry.get("use") != "old" and not _has_ended(entry, place, clock)]
    used = given if linked(resource) == REPLACED else used  # only to find who is meant
    if not used:
        raise Unreadable(f"{place}: none of the patient's identifiers is in use any more.")
    chosen = [entry for entry in used if _is_record_number(entry)]
    chosen = chosen or sorted(used, key=lambda entry: bool(entry.get("type")) or entry.get("system") in NOT_A_RECORD_NUMBER)[:1]
    return [{"mrn": str(entry["value"]), "mrn_system": str(entry.get("system") or "")} for entry in chosen]


def _is_record_number(entry: dict[str, Any]) -> bool:
    return any(coding.get("code") == "MR" for coding in (entry.get("type") or {}).get("coding") or [])


def _has_ended(entry: dict[str, Any], place: str, clock: Clock) -> bool:
    end = (entry.get("period") or {}).get("end")
    return bool(end) and clock.is_over(end, place, "identifier.period.end")


def _name(resource: dict[str, Any]) -> str:
    """The name in use: the official one before others, as its parts or, without those, as it is written out."""
    names = [name for name in resource.get("name") or [] if name.get("use") not in NAMES_NOT_USED]
    if not names:
        return ""
    rank = {use: at for at, use in enumerate(NAMES_BEFORE)}
    name = min(names, key=lambda one: rank.get(one.get("use"), len(rank)))
    return " ".join([*(name.get("given") or []), name.get("family") or ""]).strip() or str(name.get("text") or "").strip()


def _date(text: Any, place: str, field: str) -> str | None:
    if text is None:
        return None
    try:
        return datetime.strptime(str(text)[:10], "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise Unreadable(f"{place}: {field} “{text}” is not a date.") from None
