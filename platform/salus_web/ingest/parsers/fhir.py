"""FHIR R4 bundles (JSON or NDJSON) to typed records. Resources Salus has no place for are counted, not refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from salus_web.ingest.parsers.fhir_people import person_of
from salus_web.ingest.parsers.fhir_status import (
    NO_LONGER_GIVEN,
    NO_LONGER_HAD,
    NOT_BEGUN,
    STAY_IS_OVER,
    clinical_status,
    is_corrected,
    is_final,
    is_preliminary,
    is_suspected,
    is_taken_back,
    linked,
    present_ward,
)
from salus_web.ingest.parsers.fhir_times import Clock
from salus_web.ingest.parsers.fhir_values import coding_of, each_coding, names_of, value_of
from salus_web.ingest.parsers.forms import LeftOut, Parsed, PersonRecord, Unreadable
from salus_web.ingest.parsers.plausible import check_measurement

DEEPEST = 32
CRITICALITIES = {"high", "low", "unable-to-assess"}


@dataclass(slots=True)
class Around:
    """What stands around a resource: the clock, and the bundle's Medications by what refers to them."""

    clock: Clock
    drugs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def drug(self, request: dict[str, Any]) -> Any:
        """The code of the Medication that a request refers to, in itself or in the bundle; else the words of the reference."""
        reference = request.get("medicationReference") or {}
        named = str(reference.get("reference") or "")
        within = {f"#{inner.get('id')}": inner for inner in request.get("contained") or [] if isinstance(inner, dict)}
        drug = (within | self.drugs).get(named) or {}
        return drug.get("code") or {"text": reference.get("display") or "medication not named"}


def parse_fhir(raw: bytes, name: str, clock: Clock) -> Parsed:
    """Read a Bundle, or NDJSON of Bundles. Raises Unreadable."""
    parsed = Parsed()
    for number, document in enumerate(_documents(raw, name), 1):
        where = name if number == 1 else f"{name} line {number}"
        if not isinstance(document, dict) or document.get("resourceType") != "Bundle":
            raise Unreadable(f"{where} is not a FHIR Bundle.")
        _depth(document, where)
        parsed.people += _people(document, where, parsed.left_out, clock)
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


def _people(bundle: dict[str, Any], where: str, left_out: dict[str, int], clock: Clock) -> list[PersonRecord]:
    people: dict[str, PersonRecord] = {}
    others = []
    around = Around(clock)
    for resource, url, place in _entries(bundle, where):
        kind = resource["resourceType"]
        references = {url, f"{kind}/{resource.get('id', '')}"} - {""}
        if kind == "Patient":
            person = person_of(resource, place, clock)
            if link := linked(resource):
                _count(left_out, link)
            for reference in references:
                _check_one(people.get(reference), person, place)
                people[reference] = person
        elif kind == "Medication":
            around.drugs |= dict.fromkeys(references, resource)
        elif kind in _READERS:
            others.append((resource, place))
        else:
            _count(left_out, kind)
    if not people:
        raise Unreadable(f"{where} holds no Patient.")
    for resource, place in others:
        try:
            _read_of(people, resource, place, around, left_out)
        except (AttributeError, TypeError, KeyError):
            raise Unreadable(f"{place}: a part of it has another form than FHIR gives it, such as text where an object or a list is due.") from None
    return list({id(person): person for person in people.values()}.values())


def _entries(bundle: dict[str, Any], where: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Each resource with its address and its place in the file."""
    for position, entry in enumerate(bundle.get("entry") or [], 1):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise Unreadable(f"{where}, entry {position}: there is no resource.")
        yield resource, str(entry.get("fullUrl", "")), f"{where}, entry {position} ({resource['resourceType']})"


def _check_one(before: PersonRecord | None, person: PersonRecord, place: str) -> None:
    """Refuse two patients under one id: what refers to it may be either's."""
    if before is None:
        return
    numbers, others = ({(one["mrn"], one["mrn_system"]) for one in who.numbers} for who in (before, person))
    if numbers != others:
        raise Unreadable(f"{place}: another Patient of this bundle has the same id and other identifiers.")


def _read_of(people: dict[str, PersonRecord], resource: dict[str, Any], place: str, around: Around, left_out: dict[str, int]) -> None:
    """What one resource says of the patient of the bundle that it is about."""
    reference = str((resource.get("subject") or resource.get("patient") or {}).get("reference", ""))
    if reference not in people:
        raise Unreadable(f"{place}: its subject {reference or '(none)'} is not in the bundle.")
    if people[reference].is_replaced:
        _count(left_out, f"{resource['resourceType']} of a patient whom another record replaces")
        return
    _read(people[reference], resource, place, around, left_out)


def _read(person: PersonRecord, resource: dict[str, Any], place: str, around: Around, left_out: dict[str, int]) -> None:
    """Keep what one resource says, or count why it is not kept."""
    kind = resource["resourceType"]
    denied = "taken back" if is_taken_back(resource) else "that is not confirmed" if is_suspected(resource) else ""
    if denied:  # it is not kept, and what came from it before does not stand
        person.taken_back.append(_gone(resource, place))
        _count(left_out, f"{kind} {denied}")
    elif "modifierExtension" in resource:  # it says that it changes the meaning, and how is not known here (FHIR R4, 2.4.2)
        _count(left_out, f"{kind} with a modifier that is not known")
    elif resource.get("implicitRules"):  # the same of the whole resource (2.1.0.1)
        _count(left_out, f"{kind} with rules that are not known")
    else:
        if kind == "Observation":
            resource = _without_modified_parts(resource, left_out)
        try:
            _READERS[kind](person, resource, place, around)
        except LeftOut as why:
            _count(left_out, f"{kind} {why}")


def _without_modified_parts(observation: dict[str, Any], left_out: dict[str, int]) -> dict[str, Any]:
    """Without what stands in a component that a modifier changes; its place stays, as the others are known by theirs."""
    parts = observation.get("component") or []
    modified = ["modifierExtension" in part for part in parts]
    for _ in filter(None, modified):
        _count(left_out, "Observation part with a modifier that is not known")
    return observation | {"component": [{} if is_modified else part for part, is_modified in zip(parts, modified, strict=True)]}


def _count(left_out: dict[str, int], kind: str) -> None:
    left_out[kind] = left_out.get(kind, 0) + 1


def _gone(resource: dict[str, Any], place: str) -> dict[str, Any]:
    common, concept = _common(resource, place), resource.get("code") or resource.get("medicationCodeableConcept")
    names = names_of(concept) if isinstance(concept, dict) else []
    return {"kind": resource["resourceType"], "source": common["source"], "key": common["key"], "names": names}


def _common(resource: dict[str, Any], place: str) -> dict[str, Any]:
    encounter = str((resource.get("encounter") or {}).get("reference", "")).split("/")[-1].removeprefix("urn:uuid:")
    key = f"{resource['resourceType']}/{resource.get('id', '')}"
    if key.endswith("/"):
        raise Unreadable(f"{place}: the resource has no id.")
    return {"source": f"FHIR {key}"[:200], "key": key, "encounter": encounter}


def _encounter(person: PersonRecord, resource: dict[str, Any], place: str, around: Around) -> None:
    if resource.get("status") == NOT_BEGUN:
        raise LeftOut("only planned")
    period = resource.get("period") or {}
    reasons = resource.get("reasonCode") or [{}]
    starts_at = around.clock.start(period.get("start"), place, "period.start")
    ends_at = around.clock.end(period["end"], place, "period.end") if period.get("end") else None
    _in_order(starts_at, ends_at, place, "period.end", "period.start")
    if ends_at is None and resource.get("status") in STAY_IS_OVER:
        ends_at = max(starts_at, around.clock.received)
    person.encounters.append(_common(resource, place) | {
        "id": str(resource["id"]), "kind": str((resource.get("class") or {}).get("code", "")),
        "ward": present_ward(resource.get("location") or []), "reason": str((reasons[0].get("coding") or [{}])[0].get("display") or reasons[0].get("text") or ""),
        "starts_at": starts_at, "ends_at": ends_at, "starts_on_a_day": len(str(period.get("start"))) == len("2026-01-02"),
    })  # fmt: skip


def _in_order(starts_at: str, ends_at: str | None, place: str, end: str, start: str) -> None:
    if ends_at is not None and datetime.fromisoformat(ends_at) < datetime.fromisoformat(starts_at):
        raise Unreadable(f"{place}: {end} lies before {start}.")


def _observation(person: PersonRecord, resource: dict[str, Any], place: str, around: Around) -> None:
    if resource.get("focus"):
        raise LeftOut("about somebody or something else")
    base = _common(resource, place) | {"observed_at": _observed(resource, place, around.clock)}
    parts, has_value = resource.get("component") or [], False
    for number, part in enumerate([resource, *parts]):
        if not any(key.startswith("value") for key in part):
            continue
        suffix = f"#{number}" if number else ""
        system, code, words = coding_of(part.get("code"), place, "code")
        body = {
            "system": system, "code": code, "display": words, "key": base["key"] + suffix, "corrected": is_corrected(resource),
            "names": names_of(part.get("code")), "is_preliminary": is_preliminary(resource), "final": is_final(resource),
        }  # fmt: skip
        value = value_of(part, place)
        if value.number is not None:
            check_measurement(system, code, value.number, value.unit, place)
        person.observations.append(base | body | value.as_kept())
        has_value = True
    if is_corrected(resource) and not has_value:  # the correction is that there is none
        person.taken_back.append(_gone(resource, place))


def _observed(resource: dict[str, Any], place: str, clock: Clock) -> str:
    """When it was found, in whichever form that is said; when it was reported where it is not."""
    period, timing = resource.get("effectivePeriod") or {}, resource.get("effectiveTiming") or {}
    if period.get("start") and period.get("end"):
        ends_at = clock.end(period["end"], place, "effectivePeriod.end")
        _in_order(clock.start(period["start"], place, "effectivePeriod.start"), ends_at, place, "effectivePeriod.end", "effectivePeriod.start")
    said = {
        "effectiveDateTime": resource.get("effectiveDateTime"), "effectiveInstant": resource.get("effectiveInstant"),
        "effectiveTiming.event": next(iter(timing.get("event") or []), None), "effectivePeriod.start": period.get("start"),
        "effectivePeriod.end": period.get("end"), "issued": resource.get("issued"),
    }  # fmt: skip
    called, when = next(((called, when) for called, when in said.items() if when), ("effectiveDateTime", None))
    return clock.known(when, place, called)


def _condition(person: PersonRecord, resource: dict[str, Any], place: str, around: Around) -> None:
    system, code, words = coding_of(resource.get("code"), place, "code")
    onset = resource.get("onsetDateTime") or (resource.get("onsetPeriod") or {}).get("start")
    when, called = resource.get("recordedDate") or onset, "onsetDateTime" if onset and not resource.get("recordedDate") else "recordedDate"
    if when is None:  # an onset by age or in words
        raise LeftOut("whose date is not said")
    abated_at = _abated(resource, place, around.clock)
    if onset:
        _in_order(around.clock.start(onset, place, "onsetDateTime", rough=True), abated_at, place, "its end", "its onset")
    person.conditions += each_coding(resource.get("code"), _common(resource, place) | {
        "system": system, "code": code, "display": words, "names": names_of(resource.get("code")),
        "recorded_at": around.clock.known(when, place, called, rough=True), "abated_at": abated_at,
    })  # fmt: skip


def _abated(resource: dict[str, Any], place: str, clock: Clock) -> str | None:
    """When it ended; where it only says that it has, now."""
    if when := resource.get("abatementDateTime") or (resource.get("abatementPeriod") or {}).get("end"):
        return clock.end(when, place, "abatementDateTime", rough=True)
    has_ended = any(key.startswith("abatement") and value not in (None, False) for key, value in resource.items())
    return clock.received if has_ended or clinical_status(resource) in NO_LONGER_HAD else None


def _medication(person: PersonRecord, resource: dict[str, Any], place: str, around: Around) -> None:
    concept = around.drug(resource) if resource.get("medicationCodeableConcept") is None else resource["medicationCodeableConcept"]
    system, code, words = coding_of(concept, place, "medicationCodeableConcept")
    status, starts_at = str(resource.get("status", "")), around.clock.known(resource.get("authoredOn"), place, "authoredOn")
    person.medications += each_coding(concept, _common(resource, place) | {
        "system": system, "code": code, "display": words, "names": names_of(concept), "status": status, "starts_at": starts_at,
        "ends_at": max(starts_at, around.clock.received) if status in NO_LONGER_GIVEN else None,
        "only_ends": status == "cancelled",  # before anything of it was given: no drug of this patient, unless it is one already
    })  # fmt: skip


def _allergy(person: PersonRecord, resource: dict[str, Any], place: str, around: Around) -> None:
    when, criticality = resource.get("recordedDate"), resource.get("criticality")
    person.allergies.append(_common(resource, place) | {
        "display": coding_of(resource.get("code"), place, "code")[2], "names": names_of(resource.get("code")),
        "recorded_at": around.clock.known(when, place, "recordedDate", rough=True) if when else None,
        "status": clinical_status(resource)[:20], "criticality": criticality if criticality in CRITICALITIES else "",
    })  # fmt: skip


_READERS: dict[str, Callable[[PersonRecord, dict[str, Any], str, Around], None]] = {
    "Encounter": _encounter,
    "Observation": _observation,
    "Condition": _condition,
    "MedicationRequest": _medication,
    "AllergyIntolerance": _allergy,
}
