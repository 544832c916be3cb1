"""Storing what a parsed file says of a patient. The same resource twice changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from django.db.models import F, Q

from salus_web.accounts.actors import system
from salus_web.accounts.models import Site, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import allowed_at
from salus_web.accounts.services import check_not_oneself
from salus_web.audit.services import Act, record
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, StateConflict
from salus_web.records.cases import as_first_dated, put_cases_right
from salus_web.records.corrections import (
    KEPT,
    end,
    not_preliminary_again,
    put_right,
    reopen,
    standing,
    take_back,
)
from salus_web.records.identity import source_key
from salus_web.records.models import (
    CareRelation,
    CareTeam,
    CareTeamMembership,
    Encounter,
    Observation,
    Patient,
)
from salus_web.records.persons import find_or_make, numbers_of
from salus_web.records.sameness import check_same

_NUMBER_COLUMNS = {"number": "value_number", "text": "value_text"}


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """The patient a record was stored under, how many rows were new by kind, encounter id → row id, and the images to store with
    it, with the moments at which they count."""

    patient: Patient
    new: dict[str, int]
    encounters: dict[str, Any]
    images: list[dict[str, Any]]


@transaction.atomic
def store_person(*, person: dict[str, Any], site: Site, brought_by: str = "", by: Any) -> StoredPerson:
    """Keep one parsed person (the JSON form of ingest's PersonRecord) at a site. Whether who brought the file may bring this person
    in was checked before (`brought.check_may_bring`); the log names them by their id.

    Raises BadInput where the record number may be somebody else's, or an id another thing's.
    """
    found = find_or_make(person=person, site=site, by=by)
    patient, is_table_again = found.patient, bool(person.get("number_space")) and not found.is_new
    person = as_first_dated(patient=patient, person=person, by=by) if is_table_again else person
    check_same(patient=patient, person=person, by=by)
    encounters = _encounters(patient, person["encounters"], by)
    new = {"patients": int(found.is_new), "patients completed": int(found.is_completed), "encounters": encounters.pop("", 0)}
    stand = standing(person)
    new["ended"] = 0 if found.is_new else end(patient=patient, person=person, by=by)
    new["taken back"] = take_back(patient=patient, said=person.get("taken_back", []), by=by)
    stand["observations"] = not_preliminary_again(patient=patient, entries=stand["observations"], by=by)
    opened, not_opened = (0, 0) if found.is_new else reopen(patient=patient, person=stand, by=by)
    new["MedicationRequest says active again, not taken over"] = not_opened
    new["corrected"] = opened + put_right(patient=patient, entries=stand["observations"], by=by)
    if is_table_again:
        new["corrected"] += put_cases_right(patient=patient, person=person, encounters=encounters, by=by)
    for kind, (_, table) in KEPT.items():
        new[kind] = _rows(patient, table, stand[kind], encounters, by)
    detail = new | {"brought_by": brought_by or by.id}
    record(Act("record.store", "patient", str(patient.pk), patient.pseudonym, detail=detail), by=by)
    return StoredPerson(patient, new, encounters, person.get("images", []))


def hold_people(*, people: Sequence[dict[str, Any]], site: Site, by: Any) -> None:
    """Lock those of these parsed people who are here, in one order, until the caller's transaction ends: two files that name
    the same people, or a file and a risk that is being stored, then wait for one another and never each for the other."""
    if not connection.features.has_select_for_update:
        return  # SQLite has one writer, who holds everything
    indexes = [index for person in people for index, _ in numbers_of(person)]
    rows = Patient.objects.for_actor(by).filter(site=site, mrn_index__in=indexes)
    list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))


def whom_it_names(*, person: dict[str, Any], site: Site, by: Any) -> list[str]:
    """The ids of the patients who are here under a parsed person's record numbers. Nobody is made and nothing stored."""
    indexes = [index for index, _ in numbers_of(person)]
    return [str(key) for key in Patient.objects.for_actor(by).filter(site=site, mrn_index__in=indexes).values_list("pk", flat=True)]


@transaction.atomic
def note_new_data(*, patient_ids: Sequence[str], by: Any) -> None:
    """Count that data of these patients came in, in the transaction that stores it: what was worked out from rows read before
    is out of date (`Patient.data_version`)."""
    rows = Patient.objects.for_actor(by).filter(pk__in=list(patient_ids))
    list(rows.select_for_update().order_by("pk").values_list("pk", flat=True))
    rows.update(data_version=F("data_version") + 1)


def _encounters(patient: Patient, entries: list[dict[str, Any]], by: Any) -> dict[str, Any]:
    """Keep encounters; returns FHIR id → row id, and under "" how many were new. A ward's team may see its patients."""
    known = dict(Encounter.objects.for_actor(by).filter(patient=patient).values_list("source_key", "pk"))
    ids: dict[str, Any] = {}
    fresh = []
    for entry in entries:
        key = source_key(entry["key"])
        if key not in known:
            row = Encounter(
                patient=patient, kind=entry["kind"], ward=entry["ward"], reason=entry["reason"][:200],
                starts_at=_moment(entry["starts_at"]), ends_at=_moment(entry["ends_at"]), source=entry["source"],
                source_key=key,
            )  # fmt: skip
            fresh.append(row)
            known[key] = row.pk
        ids[entry["id"]] = known[key]
    Encounter.objects.bulk_create(fresh, batch_size=500)
    for row in fresh:
        if row.ward:
            _relate(patient, row, by)
    return ids | {"": len(fresh)}


def _relate(patient: Patient, encounter: Encounter, by: Any) -> None:
    """The ward's team cares for the patient for as long as the encounter lasts."""
    team, _ = CareTeam.objects.get_or_create(site_id=patient.site_id, name=encounter.ward)
    CareRelation.objects.create(
        patient=patient, team=team, kind="encounter", reason=f"on {encounter.ward}"[:200],
        starts_at=encounter.starts_at, ends_at=encounter.ends_at, added_by=by.id,
    )  # fmt: skip


def _rows(
    patient: Patient, table: type[models.Model], entries: list[dict[str, Any]], encounters: dict[str, Any], by: Any
) -> int:
    """Keep the rows of one kind that are not here yet; returns how many."""
    here = table.objects.for_actor(by).filter(patient=patient)  # type: ignore[attr-defined]
    known = set(here.values_list("source_key", flat=True))
    columns = {field.name for field in table._meta.fields} | ({"note"} if table is Observation else set())
    fresh = []
    for entry in entries:
        key = source_key(entry["key"])
        if key in known or entry.get("only_ends"):
            continue
        known.add(key)
        values = {_NUMBER_COLUMNS.get(name, name): value for name, value in entry.items()}
        values = {name: _moment(value) if name.endswith("_at") else value for name, value in values.items()}
        values = {name: value for name, value in values.items() if name in columns and name not in {"id", "encounter"}}
        if "encounter" in columns:
            values["encounter_id"] = encounters.get(entry["encounter"]) or None
        fresh.append(table(patient=patient, source_key=key, **values))
    table.objects.bulk_create(fresh, batch_size=1000)  # type: ignore[attr-defined]
    return sum(not getattr(row, "is_other_coding", False) for row in fresh)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@transaction.atomic
def join_team(*, site: Site, team_name: str, user: User, ends_at: datetime | None = None, by: Any) -> CareTeamMembership:
    """Put a person into a care team from now on; the team is made when it is new. Being in it already changes nothing."""
    authorize(by, "access.manage", Resource("user", str(user.pk), in_scope=allowed_at(by, "access.manage", site.pk)))
    check_not_oneself(user=user, by=by)
    team, _ = CareTeam.objects.get_or_create(site=site, name=team_name)
    held = CareTeamMembership.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now()), team=team, user=user).first()
    if held is not None:
        return held
    member = CareTeamMembership.objects.create(team=team, user=user, starts_at=now(), ends_at=ends_at, added_by=by.id)
    record(Act("team.join", "user", str(user.pk), detail={"team": team_name, "site": site.code}), by=by)
    return member


def _check_live(ends_at: datetime | None, what: str) -> None:
    """What has ended is history, and history is not rewritten."""
    if ends_at is not None and ends_at <= now():
        raise StateConflict(f"This {what} has already ended.")


@transaction.atomic
def leave_team(*, membership: CareTeamMembership, by: Any) -> None:
    """End a membership now."""
    authorize(by, "access.manage", Resource("user", str(membership.user_id), in_scope=allowed_at(by, "access.manage", membership.team.site_id)))
    _check_live(membership.ends_at, "membership")
    membership.ends_at = now()
    membership.save(update_fields=["ends_at"])
    record(Act("team.leave", "user", str(membership.user_id), detail={"team": membership.team.name}), by=by)


@transaction.atomic
def relate_person(*, patient: Patient, user: User, reason: str, ends_at: datetime | None, by: Any) -> CareRelation:
    """Let one clinician see one patient, for a reason and until an end."""
    authorize(by, "access.manage", Resource("user", str(user.pk), in_scope=allowed_at(by, "access.manage", patient.site_id)))
    check_not_oneself(user=user, by=by)
    if not reason.strip():
        raise BadInput("Say why this person needs to see this patient.")
    if ends_at is not None and ends_at <= now():
        raise BadInput("The end of a care relation must lie ahead.")
    relation = CareRelation.objects.create(
        patient=patient, user=user, kind="consult", reason=reason.strip()[:200], starts_at=now(), ends_at=ends_at,
        added_by=by.id,
    )  # fmt: skip
    record(Act("relation.start", "user", str(user.pk), patient.pseudonym), by=by)
    return relation


@transaction.atomic
def end_relation(*, relation: CareRelation, by: Any) -> None:
    """End a care relation now."""
    authorize(by, "access.manage", Resource("relation", str(relation.pk), in_scope=allowed_at(by, "access.manage", relation.site_id)))
    _check_live(relation.ends_at, "care relation")
    relation.ends_at = now()
    relation.save(update_fields=["ends_at"])
    pseudonym = Patient.objects.for_actor(system("records")).values_list("pseudonym", flat=True).get(pk=relation.patient_id)
    record(Act("relation.end", "relation", str(relation.pk), pseudonym), by=by)
