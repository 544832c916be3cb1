"""FHIR R4 bundles (JSON or NDJSON) to typed records. Resources Salus has no place for are counted, not refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from salus_web.ingest.parsers.fhir_status import is_corrected, is_taken_back
from salus_web.ingest.parsers.fhir_values import coding_of, value_of
from salus_web.ingest.parsers.forms import Parsed, PersonRecord, Unreadable
from salus_web.ingest.parsers.plausible import check_measurement

DEEPEST = 32
SEXES = {"male", "female", "other", "unknown"}


def parse_fhir(raw: bytes, name: str) -> Parsed:
    """Read a Bundle, or NDJSON of Bundles. Raises Unreadable."""
    parsed = Parsed()
    for number, document in enumerate(_documents(raw, name), 1):
        where = name if number == 1 else f"{name} line {number}"
        if not isinstance(document, dict) or document.get("resourceType") != "Bundle":
            raise Unreadable(f"{where} is not a FHIR Bundle.")
        _depth(document, where)
        parsed.people += _people(document, where, parsed.left_out)
    return parsed


def _documents(raw: bytes, name: str) -> list[Any]:
    try:
        return [orjson.loads(raw)]
    except orjson.JSONDecodeError as whole:
        lines = [line for line in raw.splitlines() if line.strip()]
        try:
            if len(lines) < 2:
                raise whole
            return [orjson.loads(line) for line in lines]
        except orjson.JSONDecodeError as error:
            raise Unreadable(f"{name} is not valid JSON: {error}.") from None


def _depth(document: Any, where: str) -> None:
    """Refuse nesting deeper than 32, without recursion."""
    level, layer = 0, [document]
    while layer:
        level += 1
        if level > DEEPEST:
            raise Unreadable(f"{where} is nested deeper than {DEEPEST} levels.")
        layer = [
            inner
            for item in layer
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, dict | list)
        ]


def _people(bundle: dict[str, Any], where: str, left_out: dict[str, int]) -> list[PersonRecord]:
    people: dict[str, PersonRecord] = {}
    others = []
    only = ""
    for position, entry in enumerate(bundle.get("entry") or [], 1):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise Unreadable(f"{where}, entry {position}: there is no resource.")
        place = f"{where}, entry {position} ({resource['resourceType']})"
        if resource["resourceType"] == "Patient":
            person = _patient(resource, place)
            only = f"Patient/{resource.get('id', '')}"
            for reference in {str(entry.get("fullUrl", "")), only} - {""}:
                people[reference] = person
        elif resource["resourceType"] in _READERS:
            others.append((resource, place))
        else:
            left_out[resource["resourceType"]] = left_out.get(resource["resourceType"], 0) + 1
    if not people:
        raise Unreadable(f"{where} holds no Patient.")
    for resource, place in others:
        reference = str((resource.get("subject") or resource.get("patient") or {}).get("reference", ""))
        if reference not in people:
            raise Unreadable(f"{place}: its subject {reference or '(none)'} is not in the bundle.")
        if is_taken_back(resource):
            _take_back(people[reference], resource, place, left_out)
        elif "modifierExtension" in resource:  # it says that it changes the meaning, and how is not known here (FHIR R4, 2.4.2)
            kind = f"{resource['resourceType']} with a modifier that is not known"
            left_out[kind] = left_out.get(kind, 0) + 1
        else:
            _READERS[resource["resourceType"]](people[reference], resource, place)
    return list({id(person): person for person in people.values()}.values())


def _take_back(person: PersonRecord, resource: dict[str, Any], place: str, left_out: dict[str, int]) -> None:
    """It is not kept, and what came from it before does not stand."""
    kind = resource["resourceType"]
    person.taken_back.append({"kind": kind, "source": _common(resource, place)["source"]})
    left_out[f"{kind} taken back"] = left_out.get(f"{kind} taken back", 0) + 1


def _patient(resource: dict[str, Any], place: str) -> PersonRecord:
    identifiers = [entry for entry in resource.get("identifier") or [] if isinstance(entry, dict) and entry.get("value")]
    if not identifiers:
        raise Unreadable(f"{place}: the patient has no identifier.")
    typed = [e for e in identifiers if any(c.get("code") == "MR" for c in (e.get("type") or {}).get("coding") or [])]
    chosen = (typed or identifiers)[0]
    sex = resource.get("gender", "unknown")
    if sex not in SEXES:
        raise Unreadable(f"{place}: gender “{sex}” is not a FHIR word for it.")
    names = resource.get("name") or [{}]
    name = " ".join([*(names[0].get("given") or []), names[0].get("family", "")]).strip()
    tags = [tag.get("code") for tag in (resource.get("meta") or {}).get("tag") or []]
    return PersonRecord(
        mrn=str(chosen["value"]), mrn_system=str(chosen.get("system", "")), name=name,
        birth_date=_date(resource.get("birthDate"), place, "birthDate"), sex=sex,
        died_at=_time(resource["deceasedDateTime"], place, "deceasedDateTime") if resource.get("deceasedDateTime") else None,
        is_simulated="simulated" in tags,
    )  # fmt: skip


def _date(text: Any, place: str, field: str) -> str | None:
    if text is None:
        return None
    try:
        return datetime.strptime(str(text)[:10], "%Y-%m-%d").date().isoformat()
    except ValueError:
        raise Unreadable(f"{place}: {field} “{text}” is not a date.") from None


def _time(text: Any, place: str, field: str) -> str:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        raise Unreadable(f"{place}: {field} “{text}” is not a date and time.") from None
    if moment.tzinfo is None and "T" in str(text):  # hours without a zone may be wrong by half a day; FHIR asks for one
        raise Unreadable(f"{place}: {field} “{text}” has no time zone.")
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except OverflowError:
        raise Unreadable(f"{place}: {field} “{text}” is not a date and time.") from None


def _common(resource: dict[str, Any], place: str) -> dict[str, Any]:
    encounter = str((resource.get("encounter") or {}).get("reference", "")).split("/")[-1].removeprefix("urn:uuid:")
    key = f"{resource['resourceType']}/{resource.get('id', '')}"
    if key.endswith("/"):
        raise Unreadable(f"{place}: the resource has no id.")
    return {"source": f"FHIR {key}"[:200], "key": key, "encounter": encounter}


def _encounter(person: PersonRecord, resource: dict[str, Any], place: str) -> None:
    period = resource.get("period") or {}
    wards = [((entry.get("location") or {}).get("display") or "") for entry in resource.get("location") or []]
    reasons = resource.get("reasonCode") or [{}]
    person.encounters.append(_common(resource, place) | {
        "id": str(resource["id"]), "kind": str((resource.get("class") or {}).get("code", "")),
        "ward": wards[-1] if wards else "", "reason": str((reasons[0].get("coding") or [{}])[0].get("display", "")),
        "starts_at": _time(period.get("start"), place, "period.start"),
        "ends_at": _time(period["end"], place, "period.end") if period.get("end") else None,
    })  # fmt: skip


def _observation(person: PersonRecord, resource: dict[str, Any], place: str) -> None:
    when = resource.get("effectiveDateTime") or (resource.get("effectivePeriod") or {}).get("start") or resource.get("issued")
    base = _common(resource, place) | {"observed_at": _time(when, place, "effectiveDateTime")}
    parts, has_value = resource.get("component") or [], False
    for number, part in enumerate([resource, *parts]):
        if not any(key.startswith("value") for key in part):
            continue
        suffix = f"#{number}" if number else ""
        system, code, words = coding_of(part.get("code"), place, "code")
        body = {"system": system, "code": code, "display": words, "key": base["key"] + suffix, "corrected": is_corrected(resource)}
        value = value_of(part, place)
        if value.number is not None:
            check_measurement(system, code, value.number, value.unit, place)
        person.observations.append(base | body | value.as_kept())
        has_value = True
    if is_corrected(resource) and not has_value:  # the correction is that there is none
        person.taken_back.append({"kind": "Observation", "source": base["source"]})


def _condition(person: PersonRecord, resource: dict[str, Any], place: str) -> None:
    system, code, words = coding_of(resource.get("code"), place, "code")
    when = resource.get("recordedDate") or resource.get("onsetDateTime")
    person.conditions.append(_common(resource, place) | {
        "system": system, "code": code, "display": words, "recorded_at": _time(when, place, "recordedDate"),
        "abated_at": _time(resource["abatementDateTime"], place, "abatementDateTime") if resource.get("abatementDateTime") else None,
    })  # fmt: skip


def _medication(person: PersonRecord, resource: dict[str, Any], place: str) -> None:
    concept = resource.get("medicationCodeableConcept")
    if concept is None:
        concept = {"text": (resource.get("medicationReference") or {}).get("display") or "medication not named"}
    system, code, words = coding_of(concept, place, "medicationCodeableConcept")
    person.medications.append(_common(resource, place) | {
        "system": system, "code": code, "display": words, "status": str(resource.get("status", "")),
        "starts_at": _time(resource.get("authoredOn"), place, "authoredOn"),
    })  # fmt: skip


def _allergy(person: PersonRecord, resource: dict[str, Any], place: str) -> None:
    when = resource.get("recordedDate")
    person.allergies.append(_common(resource, place) | {
        "display": coding_of(resource.get("code"), place, "code")[2],
        "recorded_at": _time(when, place, "recordedDate") if when else None,
    })  # fmt: skip


_READERS: dict[str, Callable[[PersonRecord, dict[str, Any], str], None]] = {
    "Encounter": _encounter,
    "Observation": _observation,
    "Condition": _condition,
    "MedicationRequest": _medication,
    "AllergyIntolerance": _allergy,
}
