"""What a later file takes back, puts right or ends. The file that said it first is kept, and so is every receipt that used it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import models

from salus_web.common.clock import now
from salus_web.records.identity import source_key
from salus_web.records.models import (
    Allergy,
    CareRelation,
    Condition,
    Encounter,
    Medication,
    Observation,
    Patient,
)

# what a file says of a person, by the name of its list: the FHIR resource it comes from, and where it is kept
KEPT: dict[str, tuple[str, type[models.Model]]] = {
    "observations": ("Observation", Observation), "conditions": ("Condition", Condition), "medications": ("MedicationRequest", Medication),
    "allergies": ("AllergyIntolerance", Allergy),
}  # fmt: skip


def take_back(*, patient: Patient, said: list[dict[str, Any]], by: Any) -> int:
    """Remove the rows that came from these resources (`kind`, `source`); returns how many. A stay that is called an error later
    is marked and stays: what was measured in it was measured."""
    gone = _stays_back(patient, [source_key(one["key"]) for one in said if one["kind"] == "Encounter"], by)
    for kind, table in KEPT.values():
        sources = [one["source"] for one in said if one["kind"] == kind]
        if sources:
            rows = table.objects.for_actor(by).filter(patient=patient, source__in=sources)  # type: ignore[attr-defined]
            gone += sum(not getattr(row, "is_other_coding", False) for row in rows)
            rows.delete()
    return gone


def _stays_back(patient: Patient, keys: list[str], by: Any) -> int:
    """Mark stays that never were and end those that are open, and with each its ward's right; returns how many."""
    stays = Encounter.objects.for_actor(by).filter(patient=patient, source_key__in=keys, is_taken_back=False)
    found = list(stays) if keys else []
    for stay in found:
        if stay.ends_at is None:
            _end_stay(stay, max(stay.starts_at, now()), by)
    Encounter.objects.for_actor(by).filter(pk__in=[stay.pk for stay in found]).update(is_taken_back=True)
    return len(found)


def _end_stay(stay: Encounter, ends_at: datetime, by: Any) -> None:
    """End an open stay, and with it the right of its ward to see the patient."""
    Encounter.objects.for_actor(by).filter(pk=stay.pk).update(ends_at=ends_at)
    on_the_ward = CareRelation.objects.filter(patient_id=stay.patient_id, kind="encounter", team__name=stay.ward, starts_at=stay.starts_at)
    on_the_ward.filter(ends_at__isnull=True).update(ends_at=ends_at)


def put_right(*, patient: Patient, entries: list[dict[str, Any]], by: Any) -> int:
    """Remove the observations that corrected ones of the same resource replace, and the preliminary ones that final ones replace,
    where they differ; returns of how many resources. The entries themselves are stored by the caller."""
    new: dict[str, set[tuple[Any, ...]]] = {}
    open_rows = Observation.objects.for_actor(by).filter(patient=patient, is_preliminary=True)
    not_final = set(open_rows.values_list("source", flat=True))
    for entry in entries:
        if entry.get("corrected") or (entry.get("final") and entry["source"] in not_final):
            words, at = entry["text"] or entry.get("note", ""), datetime.fromisoformat(entry["observed_at"])
            new.setdefault(entry["source"], set()).add((entry["code"], entry["number"], words, entry["unit"], at))
    here: dict[str, set[tuple[Any, ...]]] = {}
    rows = Observation.objects.for_actor(by).filter(patient=patient, source__in=list(new))
    for row in rows:
        here.setdefault(row.source, set()).add((row.code, row.value_number, row.words, row.unit, row.observed_at))
    changed = [source for source, said in here.items() if said != new[source]]
    rows.filter(source__in=changed).delete()
    open_rows.filter(source__in=list(new)).update(is_preliminary=False)  # the same value, and now it is the final one
    return len(changed)


def not_preliminary_again(*, patient: Patient, entries: list[dict[str, Any]], by: Any) -> list[dict[str, Any]]:
    """Observations without the preliminary ones of a resource whose final one is here."""
    early = {entry["source"] for entry in entries if entry.get("is_preliminary")}
    rows = Observation.objects.for_actor(by).filter(patient=patient, source__in=list(early), is_preliminary=False)
    passed = set(rows.values_list("source", flat=True)) if early else set()
    return [entry for entry in entries if not (entry.get("is_preliminary") and entry["source"] in passed)]


def end(*, patient: Patient, person: dict[str, Any], by: Any) -> int:
    """Ends that a later file knows of what was open: the stay, and with it the ward's right to see it; a diagnosis; a drug; an
    allergy; the life. An end that is here is never moved; what `reopen` takes up again is all that opens. Returns how many ended."""
    ended = 0
    stays = Encounter.objects.for_actor(by).filter(patient=patient, ends_at__isnull=True)
    for stay, ends_at in _ending(stays, person["encounters"], "ends_at"):
        if ends_at < stay.starts_at:
            continue
        _end_stay(stay, ends_at, by)
        ended += 1
    problems = Condition.objects.for_actor(by).filter(patient=patient, abated_at__isnull=True)
    for problem, abated_at in _ending(problems, person["conditions"], "abated_at"):
        problems.filter(pk=problem.pk).update(abated_at=abated_at)
        ended += not problem.is_other_coding
    drugs = Medication.objects.for_actor(by).filter(patient=patient, ends_at__isnull=True)
    statuses = {source_key(entry["key"]): entry["status"] for entry in person["medications"]}
    for drug, ends_at in _ending(drugs, person["medications"], "ends_at"):
        drugs.filter(pk=drug.pk).update(ends_at=ends_at, status=statuses[drug.source_key])
        ended += not drug.is_other_coding
    over = {source_key(entry["key"]): entry["status"] for entry in person["allergies"] if entry.get("status") in Allergy.OVER}
    allergies = Allergy.objects.for_actor(by).filter(patient=patient, source_key__in=list(over)).exclude(status__in=Allergy.OVER)
    for pk, key in list(allergies.values_list("pk", "source_key")):
        ended += allergies.filter(pk=pk).update(status=over[key])
    return ended + _life(patient, person, by)


def reopen(*, patient: Patient, person: dict[str, Any], by: Any) -> tuple[int, int]:
    """Take up again what is explicitly active: an allergy that was over, as one too many is the safe side, and a drug that was on hold,
    which is a pause. Returns how many, and how many drugs that ended otherwise stay so: nobody can tell which file is newer."""
    active = [source_key(entry["key"]) for entry in person["allergies"] if entry.get("status") == "active"]
    opened = Allergy.objects.for_actor(by).filter(patient=patient, source_key__in=active, status__in=Allergy.OVER).update(status="active")
    last = {source_key(entry["key"]): entry["status"] for entry in person["medications"]}
    given = [key for key, status in last.items() if status == "active"]
    drugs = Medication.objects.for_actor(by).filter(patient=patient, source_key__in=given, ends_at__isnull=False)
    refused = sum(not drug.is_other_coding for drug in drugs.exclude(status="on-hold"))
    held = drugs.filter(status="on-hold")
    opened += sum(not drug.is_other_coding for drug in held)
    held.update(status="active", ends_at=None)
    return opened, refused


def _life(patient: Patient, person: dict[str, Any], by: Any) -> int:
    """The end of a life, or its date where only the end was known."""
    is_dated = person["death_is_dated"]
    if not person["died_at"] or (patient.died_at is not None and (patient.death_is_dated or not is_dated)):
        return 0
    died_at = datetime.fromisoformat(person["died_at"])
    return int(Patient.objects.for_actor(by).filter(pk=patient.pk).update(died_at=died_at, death_is_dated=is_dated))


def _ending(rows: Any, entries: list[dict[str, Any]], field: str) -> list[tuple[Any, datetime]]:
    """Open rows whose entry names an end (at most 1 query)."""
    ends = {source_key(entry["key"]): datetime.fromisoformat(entry[field]) for entry in entries if entry.get(field)}
    return [(row, ends[row.source_key]) for row in rows.filter(source_key__in=list(ends))] if ends else []


def standing(person: dict[str, Any]) -> dict[str, Any]:
    """The person with what stands of one file: nothing that it takes back itself, and of a resource it also
    corrects the correction, of one that it first gives as preliminary what it gives after."""
    gone = {(one["kind"], one["source"]) for one in person.get("taken_back", [])}
    kept = {name: [entry for entry in person[name] if (kind, entry["source"]) not in gone] for name, (kind, _) in KEPT.items()}
    passed = {one["source"] for one in kept["observations"] if not one.get("is_preliminary")}
    kept["observations"] = [one for one in kept["observations"] if not (one.get("is_preliminary") and one["source"] in passed)]
    newest = {entry["key"]: entry for entry in kept["observations"] if entry.get("corrected")}
    corrected = {entry["source"] for entry in newest.values()}
    kept["observations"] = [one for one in kept["observations"] if one["source"] not in corrected or newest.get(one["key"]) is one]
    return person | kept
