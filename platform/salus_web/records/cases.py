"""The cases of case tables. A table that is read again is the newer word of whoever keeps it: what it says of a known case stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from salus_web.records.identity import source_key
from salus_web.records.models import Encounter, Observation, Patient


def as_first_dated(*, patient: Patient, person: dict[str, Any], by: Any) -> dict[str, Any]:
    """The person with every known case of the moment at which it first came in (1 query). A table has no clock: a value or
    picture that is added to a case later would count as recorded after the case's index moment, and no model would see it."""
    cases = {source_key(entry["key"]): entry for entry in person["encounters"]}
    rows = Encounter.objects.for_actor(by).filter(patient=patient, source_key__in=list(cases))
    back = {cases[key]["id"]: first - datetime.fromisoformat(cases[key]["starts_at"]) for key, first in rows.values_list("source_key", "starts_at")}
    parts = (("encounters", "id", "starts_at"), ("observations", "encounter", "observed_at"), ("images", "encounter", "acquired_at"))
    return person | {part: [_moved(entry, when, back.get(entry[case])) for entry in person[part]] for part, case, when in parts}


def _moved(entry: dict[str, Any], when: str, shift: timedelta | None) -> dict[str, Any]:
    return entry if shift is None else entry | {when: (datetime.fromisoformat(entry[when]) + shift).isoformat()}


def put_cases_right(*, patient: Patient, person: dict[str, Any], encounters: dict[str, Any], by: Any) -> int:
    """Remove the values of these cases that the table says otherwise now or no longer has; returns of how many cases. The new ones
    are stored by the caller. Values of columns that this task file does not read stay."""
    said = {source_key(entry["key"]): entry for entry in person["observations"]}
    corrected = 0
    for case in person["encounters"]:
        gone = []
        for value in Observation.objects.for_actor(by).filter(patient=patient, encounter=encounters[case["id"]]):
            entry = said.get(value.source_key)
            if entry is not None and _says_the_same(value, entry):
                _note_row(value, entry["source"])
            elif entry is not None or value.code in case["columns"]:
                gone.append(value.pk)
        Observation.objects.for_actor(by).filter(pk__in=gone).delete()
        _note_row(Encounter.objects.for_actor(by).get(pk=encounters[case["id"]]), case["source"])
        corrected += bool(gone)
    return corrected


def _says_the_same(value: Observation, entry: dict[str, Any]) -> bool:
    moment = datetime.fromisoformat(entry["observed_at"])
    kept = value.code, value.value_number, value.words, value.unit, value.observed_at
    return kept == (entry["code"], entry["number"], entry["text"], entry["unit"], moment)


def _note_row(row: Observation | Encounter, source: str) -> None:
    """Where it stands now: a row of a table may have moved, and nothing be said otherwise by it."""
    if row.source != source:
        row.source = source
        row.save(update_fields=["source"])


def note_table(*, case_ids: Sequence[Any], upload_id: Any, by: Any) -> None:
    """Note that an upload's table held these cases: the training that follows it is on them."""
    Encounter.objects.for_actor(by).filter(pk__in=list(case_ids)).update(upload_id=upload_id)
