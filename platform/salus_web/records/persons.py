"""Who a parsed person is: the patient of their record number, made when new. What is empty here is filled; two people are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings

from salus_web.accounts.models import Site
from salus_web.common.clock import now
from salus_web.common.encryption import blind_index
from salus_web.common.errors import BadInput
from salus_web.records.models import Patient, PatientNameToken

_OBJECT_IDENTIFIER = re.compile(r"[0-2](?:\.\d+)+")
CHECK = "Nothing was stored; please check who this is."


@dataclass(frozen=True, slots=True)
class Found:
    """The patient of a parsed person, whether made now, and whether something that was empty was filled."""

    patient: Patient
    is_new: bool = False
    is_completed: bool = False


def number_index(number: str, space: str = "") -> str:
    """What a record number is found by. A number of a case table lives in the space of its table, and meets no other's."""
    index = blind_index(number, purpose="mrn")
    return blind_index(index, purpose=f"number of {space}") if space else index


def case_token(number: str) -> str:
    """What a number of a case table is searched by, in whichever table it is: beside the words of the name."""
    return blind_index(number, purpose="number in a case table")


def numbers_of(person: dict[str, Any]) -> list[tuple[str, str]]:
    """Index and system of each record number that a file gives a person, the chosen one first. In a space of its own a number
    needs no system."""
    space = person.get("number_space", "")
    given = [person, *person.get("other_numbers", [])]
    return [(number_index(one["mrn"], space), "" if space else one["mrn_system"].strip()) for one in given]


def find_or_make(*, person: dict[str, Any], site: Site, by: Any) -> Found:
    """The patient of one of these record numbers at this site, held until the caller's transaction ends, so that somebody who is
    erased meanwhile gets nothing. Raises BadInput where it may be somebody else."""
    born, numbers = _born(person), numbers_of(person)
    rows = Patient.objects.for_actor(by).select_for_update().filter(site=site, mrn_index__in=[index for index, _ in numbers])
    patient, system = _match({row.mrn_index: row for row in rows.order_by("pk")}, numbers)
    if patient is None:
        return Found(_made(person, site, numbers[0][0], born), is_new=True)
    _same_person(patient, born, person["sex"])
    return Found(patient, is_completed=_completed(patient, person, system, born))


def _born(person: dict[str, Any]) -> date | None:
    born = date.fromisoformat(person["birth_date"]) if person["birth_date"] else None
    if born and born > now().astimezone(settings.SALUS_HOSPITAL_ZONE).date():
        raise BadInput(f"The birth date {born} lies ahead. Nothing was stored; please check the file.")
    return born


def _match(here: dict[str, Patient], numbers: Sequence[tuple[str, str]]) -> tuple[Patient | None, str]:
    """The patient whom these numbers name, and the system that the file gives the number. The same number in another system
    may be another person's."""
    matches: dict[Any, tuple[Patient, str]] = {}
    other = ""
    for index, system in numbers:
        row = here.get(index)
        if row is None:
            continue
        if _are_apart(system, row.mrn_system):
            other = other or f"The record number is already here in the system “{row.mrn_system}”, and the file names “{system}”."
        else:
            matches.setdefault(row.pk, (row, system))
    if len(matches) > 1:
        raise BadInput(f"The file gives one person the record numbers of two patients who are here. {CHECK}")
    if not matches and other:
        raise BadInput(f"{other} They may be two people. {CHECK}")
    return next(iter(matches.values()), (None, ""))


def _are_apart(one: str, other: str) -> bool:
    """Whether two systems are both named, in the same way, and not the same: a DICOM issuer is often the short name of a
    hospital, which says nothing against the address that FHIR calls its numbers by."""
    one, other = _plain(one), _plain(other)
    return bool(one and other) and one != other and _is_address(one) == _is_address(other)


def _plain(system: str) -> str:
    """A system as it is compared: FHIR writes an object identifier with urn:oid: before it, DICOM without."""
    return system.strip().casefold().removeprefix("urn:oid:")


def _is_address(system: str) -> bool:
    """Whether it is a URI or an object identifier, and not a word."""
    return ":" in system or bool(_OBJECT_IDENTIFIER.fullmatch(system))


def _same_person(found: Patient, born: date | None, sex: str) -> None:
    """Refuse to mix two people under one record number."""
    if born and found.birth_date and born != found.birth_date:
        raise BadInput(f"The record number is already here with another birth date. {CHECK}")
    if "unknown" not in {sex, found.sex} and sex != found.sex:
        raise BadInput(f"The record number is already here with another sex. {CHECK}")


def _completed(found: Patient, person: dict[str, Any], system: str, born: date | None) -> bool:
    """Take over what came first as empty, so that the next file is compared with it."""
    new = {"birth_date": born if found.birth_date is None else None, "mrn_system": "" if found.mrn_system else system}
    new["sex"] = person["sex"] if found.sex == "unknown" and person["sex"] != "unknown" else ""
    filled = [column for column, value in new.items() if value]
    for column in filled:
        setattr(found, column, new[column])
    if person["name"] and not found.name:
        found.name = person["name"]
        filled.append("name_sealed")
        _index_name(found, person)
    if filled:
        found.save(update_fields=filled)
    return bool(filled)


def _made(person: dict[str, Any], site: Site, index: str, born: date | None) -> Patient:
    died_at = datetime.fromisoformat(person["died_at"]) if person["died_at"] else None
    patient = Patient(
        site=site, mrn_system=person["mrn_system"], mrn_index=index, birth_date=born, sex=person["sex"],
        died_at=died_at, death_is_dated=person["death_is_dated"], is_simulated=person["is_simulated"], created_at=now(),
    )  # fmt: skip
    patient.mrn, patient.name = person["mrn"], person["name"]
    patient.save(force_insert=True)
    _index_name(patient, person)
    return patient


def _index_name(patient: Patient, person: dict[str, Any]) -> None:
    """What they are searched by: the words of the name, and of a case table's person the number."""
    tokens = {blind_index(word, purpose="name") for word in person["name"].split()}
    tokens |= {case_token(person["mrn"])} if person.get("number_space") else set()
    PatientNameToken.objects.bulk_create([PatientNameToken(patient=patient, token=token) for token in sorted(tokens)])
