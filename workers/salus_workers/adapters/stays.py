"""Stays in hospital as snapshots: what was recorded by the index moment, hours after a stay began.

Used by tasks whose index is written “encounter-start + 24 h”; case tables have snapshots.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from salus_learn.contracts import ImageSpec, PatientSnapshot, RecordValue, RiskTask
from salus_learn.known_scores.inputs import score_codes
from salus_learn.tasks.loader import index_hours
from salus_web.common.clock import now
from salus_web.imaging.models import Rendition
from salus_web.records.models import Condition, Encounter, Medication, Observation, Patient

from salus_workers.adapters.snapshots import StoredCase, record_value, snapshot_image

DEMOGRAPHICS = "salus"
PICTURE_BEFORE_STAY = timedelta(days=1)
VISITS = frozenset({"AMB", "HH", "VR"})  # HL7 ActEncounterCode: ambulatory, at home, virtual


class _Rows(NamedTuple):
    """Rows of the wanted codes and modalities, by patient."""

    observations: dict[Any, list[Observation]]
    conditions: dict[Any, list[Condition]]
    medications: dict[Any, list[Medication]]
    pictures: dict[Any, list[Rendition]]


def stay_cases(
    task: RiskTask, by: Any, patient_ids: Sequence[str] | None = None, *, purpose: str, newest_only: bool = False
) -> list[StoredCase]:
    """Every stay that lasted to its index moment (of these patients), or each patient's newest one, of people who allow the
    purpose (5 queries).

    Where only the newest counts and it has not come to its index moment yet, the case says so (`too_early`) and holds nothing:
    an older stay's risk is not the patient's risk now.
    """
    delay = timedelta(hours=index_hours(task))
    # first of all, as it tells how much had come in before anything else was read (Patient.data_version)
    encounters = Encounter.objects.for_actor(by).for_purpose(purpose).select_related("patient", "patient__site").exclude(kind="case")
    if patient_ids is not None:
        encounters = encounters.filter(patient_id__in=list(patient_ids))
    moment = now()
    stays = [row for row in encounters.order_by("starts_at", "pk") if row.lasts_to(row.starts_at + delay)]
    ready = [row for row in stays if row.starts_at + delay <= moment]
    early: dict[Any, Encounter] = {}
    if newest_only:
        early = {row.patient_id: row for row in stays if row.starts_at + delay > moment and _is_begun_stay(row, moment)}
        ready = list({row.patient_id: row for row in ready if row.patient_id not in early}.values())
    rows = _rows(task, by, [row.patient_id for row in ready], purpose)
    return [_case(task, row, row.starts_at + delay, rows) for row in ready] + [
        _early(row, row.starts_at + delay, moment) for row in early.values()
    ]


def _is_begun_stay(row: Encounter, moment: datetime) -> bool:
    """Whether somebody is in hospital with this encounter; not planned for later, and not a visit of a few hours."""
    return row.starts_at <= moment and row.kind not in VISITS


def _early(stay: Encounter, index: datetime, moment: datetime) -> StoredCase:
    """A stay that the model cannot speak of yet."""
    patient = stay.patient
    why = (
        f"The newest stay began on {stay.starts_at:%d %b %Y %H:%M} UTC, and this model speaks of a stay from "
        f"{index:%d %b %Y %H:%M} UTC on."
    )
    snapshot = PatientSnapshot(str(stay.pk), str(patient.pk), moment, (), (), patient.site.code)
    return StoredCase(snapshot, str(patient.pk), str(stay.pk), None, patient.data_version, too_early=why)


def _rows(task: RiskTask, by: Any, patient_ids: list[Any], purpose: str) -> _Rows:
    """What the task and the known scores may need of these patients, in four queries."""
    codes = {spec.code for spec in task.features if spec.code} | {task.outcome.code} | score_codes()
    whose = {"patient_id__in": patient_ids}
    return _Rows(
        _by_patient(Observation.objects.for_actor(by).for_purpose(purpose).filter(code__in=codes, **whose)),
        # every diagnosis, as a comorbidity index reads “not coded” as “not there”
        _by_patient(Condition.objects.for_actor(by).for_purpose(purpose).filter(**whose)),
        _by_patient(Medication.objects.for_actor(by).for_purpose(purpose).filter(code__in=codes, **whose)),
        _by_patient(
            Rendition.objects.for_actor(by).for_purpose(purpose).select_related("instance__series").filter(
                kind="model", instance__series__modality__in={spec.modality for spec in task.images}, **whose
            )
        ),
    )


def _by_patient(rows: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(row.patient_id, []).append(row)
    return found


def _case(task: RiskTask, stay: Encounter, index: datetime, rows: _Rows) -> StoredCase:
    """The snapshot of one stay, and its outcome where it is known by now."""
    patient = stay.patient
    values = _demographics(patient, index)
    values += [record_value(row) for row in rows.observations.get(patient.pk, []) if row.observed_at <= index]
    values += [
        RecordValue(row.code, row.system, 1.0, None, row.recorded_at, row.source, str(row.pk))
        for row in rows.conditions.get(patient.pk, []) if row.recorded_at <= index
    ]  # fmt: skip
    values += [
        RecordValue(row.code, row.system, 1.0, None, row.starts_at, row.source, str(row.pk))
        for row in rows.medications.get(patient.pk, []) if row.starts_at <= index
    ]  # fmt: skip
    pictures = [
        row for row in rows.pictures.get(patient.pk, [])
        if stay.starts_at - PICTURE_BEFORE_STAY <= row.instance.acquired_at <= index
    ]  # fmt: skip
    images = [(spec, _newest(spec, pictures)) for spec in task.images]
    snapshot = PatientSnapshot(
        key=str(stay.pk), person=str(patient.pk), index_time=index, values=tuple(values),
        images=tuple(snapshot_image(row, spec.name) for spec, row in images if row is not None),
        site=patient.site.code,
    )  # fmt: skip
    outcome = _outcome(task, index, rows.conditions.get(patient.pk, []))
    return StoredCase(snapshot, str(patient.pk), str(stay.pk), outcome, patient.data_version, all_diagnoses=True)


def _demographics(patient: Patient, index: datetime) -> list[RecordValue]:
    """Age in whole years and sex as of the index moment."""
    found = []
    if patient.birth_date is not None:
        born = patient.birth_date
        years = index.year - born.year - ((index.month, index.day) < (born.month, born.day))
        found.append(RecordValue("age_years", DEMOGRAPHICS, float(years), "a", index, "date of birth"))
    if patient.sex in {"male", "female"}:
        found.append(RecordValue("sex", DEMOGRAPHICS, patient.sex, None, index, "patient record"))
    return found


def _newest(spec: ImageSpec, pictures: list[Rendition]) -> Rendition | None:
    """The newest picture that fits a slot: modality, and body part and view where the task names them."""
    fitting = [
        row for row in pictures
        if row.instance.series.modality == spec.modality
        and (not spec.body_part or row.instance.series.body_part.upper() == spec.body_part.upper())
        and (not spec.view or row.instance.view.upper() == spec.view.upper())
    ]  # fmt: skip
    return max(fitting, key=lambda row: row.instance.acquired_at, default=None)


def _outcome(task: RiskTask, index: datetime, conditions: list[Condition]) -> int | None:
    """1 when the outcome was recorded within the horizon after the index moment; None before the horizon is over."""
    end = index + timedelta(days=task.outcome.horizon_days)
    if end > now():
        return None
    return int(any(row.code == task.outcome.code and index < row.recorded_at <= end for row in conditions))
