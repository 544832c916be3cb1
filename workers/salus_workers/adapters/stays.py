"""Stays in hospital as snapshots: what was recorded by an index moment, hours after a stay began; a task may name several.

Used by tasks whose index is written “encounter-start + 24 h”; case tables have snapshots.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from salus_learn.contracts import ImageSpec, PatientSnapshot, RecordValue, RiskTask, SnapshotImage
from salus_learn.known_scores.inputs import score_codes
from salus_learn.tasks.moments import STAY_HOURS, STAY_SYSTEM, STAY_UNIT, index_hours
from salus_web.common.clock import now
from salus_web.imaging.models import Rendition
from salus_web.records.models import VISITS, Condition, Encounter, Medication, Observation, Patient

from salus_workers.adapters.snapshots import StoredCase, record_value, snapshot_image

DEMOGRAPHICS = "salus"
PICTURE_BEFORE_STAY = timedelta(days=1)
NEVER = datetime.max.replace(tzinfo=UTC)


class _Rows(NamedTuple):
    """Rows of the wanted codes and modalities, by patient, and the pictures read so far: one is read once, however many
    moments it is known at."""

    observations: dict[Any, list[Observation]]
    conditions: dict[Any, list[Condition]]
    medications: dict[Any, list[Medication]]
    pictures: dict[Any, list[Rendition]]
    read: dict[tuple[Any, str], SnapshotImage]


class _Moment(NamedTuple):
    """A stay at one of its index moments."""

    stay: Encounter
    hours: float
    key: str

    @property
    def at(self) -> datetime:
        return self.stay.starts_at + timedelta(hours=self.hours)


def stay_cases(task: RiskTask, by: Any, *, purpose: str) -> list[StoredCase]:
    """Every stay at each index moment that it lasted to and that is over, of people who allow the purpose (5 queries)."""
    found = [one for row in _stays(by, purpose) for one in _moments(task, row) if one.at <= now()]
    rows = _rows(task, by, [one.stay.patient_id for one in found], purpose)
    return [_case(task, one, rows) for one in found]


def newest_stays(
    task: RiskTask, by: Any, patient_ids: Sequence[str], *, purpose: str, answered: Collection[tuple[Any, datetime]] = ()
) -> list[StoredCase]:
    """Of each of these patients the newest stay at its last index moment, and before it at those that are not among
    `answered` (stay, moment), in the order of time (5 queries).

    Where that stay has not come to its first index moment yet, the case says so (`too_early`) and holds nothing: an older
    stay's risk is not the patient's risk now. Where it ended before that moment, or its patient died, it says so too (`already`).
    """
    moment = now()
    newest = _newest_of_each(task, [row for row in _stays(by, purpose, patient_ids) if row.starts_at <= moment])
    asked: list[_Moment] = []
    unasked: list[StoredCase] = []
    for row in newest.values():
        found = _moments(task, row)
        if _died(row) <= moment:
            unasked.append(_silent(row, str(row.pk), moment, already=_of_death(row.patient)))
        elif not found:
            unasked.append(_silent(row, str(row.pk), moment, already=_too_short(task, row)))
        elif found[0].at > moment:
            unasked.append(_silent(row, found[0].key, moment, too_early=_when(found[0])))
        else:
            asked += _unanswered([one for one in found if one.at <= moment], answered)
    rows = _rows(task, by, [one.stay.patient_id for one in asked], purpose)
    return [_case(task, one, rows) for one in asked] + unasked


def _newest_of_each(task: RiskTask, stays: list[Encounter]) -> dict[Any, Encounter]:
    """Each patient's newest stay, however short; but one that ended too soon for the model within a longer one (an hour in
    the emergency room) is a part of that."""
    found: dict[Any, Encounter] = {}
    earlier: dict[Any, list[Encounter]] = {}
    for row in stays:
        before = earlier.setdefault(row.patient_id, [])
        is_part = row.ends_at is not None and any(one.lasts_to(row.ends_at) for one in before) and not _moments(task, row)
        if not is_part:
            found[row.patient_id] = row
        before.append(row)
    return found


def _stays(by: Any, purpose: str, patient_ids: Sequence[str] | None = None) -> list[Encounter]:
    """Stays, which visits and what was taken back are not, in the order of their beginning. Read first of all, as they tell how much had come in before anything else was
    read (Patient.data_version)."""
    rows = Encounter.objects.for_actor(by).for_purpose(purpose).select_related("patient", "patient__site").exclude(kind__in=("case", *VISITS))
    rows = rows.filter(is_taken_back=False)
    rows = rows if patient_ids is None else rows.filter(patient_id__in=list(patient_ids))
    return list(rows.order_by("starts_at", "pk"))


def _moments(task: RiskTask, stay: Encounter) -> list[_Moment]:
    """The index moments that a stay lasted to and the patient saw, as far as is known: also those to come of one that has
    not ended."""
    hours = index_hours(task)
    found = [_Moment(stay, one, f"{stay.pk}+{one:g}h" if len(hours) > 1 else str(stay.pk)) for one in hours]
    return [one for one in found if stay.lasts_to(one.at) and one.at < _died(stay)]


def _unanswered(found: list[_Moment], answered: Collection[tuple[Any, datetime]]) -> list[_Moment]:
    """The last of a stay's moments, and those before it for which no risk was given."""
    return [one for one in found[:-1] if (one.stay.pk, one.at) not in answered] + found[-1:]


def _died(stay: Encounter) -> datetime:
    """When the patient of a stay died; the end of time where it is not known that they did."""
    return stay.patient.died_at or NEVER


def _of_death(patient: Patient) -> str:
    when = f"{patient.died_at:%d %b %Y %H:%M} UTC"
    return f"The patient died on {when}." if patient.death_is_dated else f"The patient has died, as is known since {when}."


def _when(one: _Moment) -> str:
    """Why the model cannot speak of a stay yet."""
    began, at = one.stay.starts_at, one.at
    return f"The newest stay began on {began:%d %b %Y %H:%M} UTC, and this model speaks of a stay from {at:%d %b %Y %H:%M} UTC on."


def _too_short(task: RiskTask, stay: Encounter) -> str:
    """Why the model never speaks of a stay that does not last to its first index moment."""
    began, at = stay.starts_at, stay.starts_at + timedelta(hours=index_hours(task)[0])
    until = f" and lasted until {stay.ends_at:%d %b %Y %H:%M} UTC" if stay.ends_at else ""
    return f"The newest stay began on {began:%d %b %Y %H:%M} UTC{until}; this model speaks of one that lasts to {at:%d %b %Y %H:%M} UTC, so it gives no risk."


def _silent(stay: Encounter, key: str, moment: datetime, *, too_early: str = "", already: str = "") -> StoredCase:
    """A stay that no model is asked about, with the reason."""
    patient = stay.patient
    snapshot = PatientSnapshot(key, str(patient.pk), moment, (), (), patient.site.code)
    return StoredCase(snapshot, str(patient.pk), str(stay.pk), None, patient.data_version, too_early=too_early, already=already)


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
                kind="model", instance__is_dropped=False, instance__series__modality__in={spec.modality for spec in task.images}, **whose
            )
        ),
        {},
    )


def _by_patient(rows: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for row in rows:
        found.setdefault(row.patient_id, []).append(row)
    return found


def _case(task: RiskTask, one: _Moment, rows: _Rows) -> StoredCase:
    """The snapshot of one stay at one moment, and its outcome where it is known by now."""
    stay, index, patient = one.stay, one.at, one.stay.patient
    diagnoses = rows.conditions.get(patient.pk, [])
    values = _demographics(patient, index)
    values.append(RecordValue(STAY_HOURS, STAY_SYSTEM, one.hours, STAY_UNIT, index, "time since the stay began"))
    values += [record_value(row) for row in rows.observations.get(patient.pk, []) if row.observed_at <= index]
    values += [
        RecordValue(row.code, row.system, 1.0, None, row.recorded_at, row.source, str(row.pk))
        for row in diagnoses if row.recorded_at <= index
    ]  # fmt: skip
    values += [
        RecordValue(row.code, row.system, 1.0, None, row.starts_at, row.source, str(row.pk))
        for row in rows.medications.get(patient.pk, []) if row.starts_at <= index
    ]  # fmt: skip
    snapshot = PatientSnapshot(
        key=one.key, person=str(patient.pk), index_time=index, values=tuple(values), images=_images(task, one, rows),
        site=patient.site.code,
    )  # fmt: skip
    return StoredCase(
        snapshot, str(patient.pk), str(stay.pk), _outcome(task, one, diagnoses), patient.data_version, all_diagnoses=True,
        already=_already(task, one, diagnoses),
    )  # fmt: skip


def _images(task: RiskTask, one: _Moment, rows: _Rows) -> tuple[SnapshotImage, ...]:
    """The newest picture of each slot that was there by the moment."""
    pictures = [
        row for row in rows.pictures.get(one.stay.patient_id, [])
        if one.stay.starts_at - PICTURE_BEFORE_STAY <= row.instance.acquired_at <= one.at
    ]  # fmt: skip
    found = []
    for spec in task.images:
        row = _newest(spec, pictures)
        if row is not None:
            if (row.pk, spec.name) not in rows.read:
                rows.read[row.pk, spec.name] = snapshot_image(row, spec.name)
            found.append(rows.read[row.pk, spec.name])
    return tuple(found)


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


def _outcome(task: RiskTask, one: _Moment, conditions: list[Condition]) -> int | None:
    """1 when the outcome was recorded within the horizon after the index moment; None before the horizon or the stay is over:
    those who are in hospital are whom the model will be asked about, so they do not teach it."""
    moment, end = now(), one.at + timedelta(days=task.outcome.horizon_days)
    if end > moment or one.stay.lasts_to(moment):
        return None
    return int(any(row.code == task.outcome.code and one.at < row.recorded_at <= end for row in conditions))


def _already(task: RiskTask, one: _Moment, conditions: list[Condition]) -> str:
    """Why a stay is not asked about at a moment: what the model foretells had come before it. Empty where it had not."""
    came = [row.recorded_at for row in conditions if row.code == task.outcome.code and one.stay.starts_at <= row.recorded_at <= one.at]
    if not came:
        return ""
    label = task.outcome.label
    return f"{label[:1].upper()}{label[1:]} was recorded on {min(came):%d %b %Y %H:%M} UTC, in this stay; the model speaks of those who have not had it."
