"""Stored cases as snapshots for the library, as of the index moment, in a fixed number of queries."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from salus_learn.contracts import Case, PatientSnapshot, RecordValue, Region, RiskTask, SnapshotImage
from salus_learn.tasks.cases import case_system
from salus_learn.tasks.words import kind_of, outcome_of
from salus_web.common import vault
from salus_web.imaging.models import Rendition
from salus_web.records.models import Encounter, Observation

from salus_workers.adapters.case_tables import image_outcome_code


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A snapshot with the rows it came from, and its outcome where known."""

    snapshot: PatientSnapshot
    patient_id: str
    encounter_id: str
    outcome: int | None
    data_version: int  # the patient's, as it was before the rows were read
    time_days: float | None = None
    kind: str | None = None  # of the outcome, where the task names kinds
    all_diagnoses: bool = False  # whether the snapshot holds every diagnosis of the person known by then
    image_outcomes: tuple[int | None, ...] = ()  # each image's own, where several rows make a case
    too_early: str = ""  # why nothing can be said of it yet; then the snapshot is empty
    already: str = ""  # why nothing is to be foretold any more: the outcome, death or the end of the stay had come before the index moment

    @property
    def is_asked(self) -> bool:
        """Whether a model is asked of it at all."""
        return not (self.too_early or self.already)


def ward_of_cases(task: RiskTask) -> str:
    """The ward under which a case table's cases are stored."""
    return f"Case review {task.id}"


def table_cases(
    task: RiskTask, by: Any, patient_ids: Sequence[str] | None = None, *, purpose: str, upload_id: str = ""
) -> list[StoredCase]:
    """Every case of a case table's task (of these patients) as of its index moment, of people who allow the purpose;
    with an upload only those that its table held last (3 queries)."""
    # first of all, as it tells how much had come in before anything else was read (Patient.data_version)
    encounters = Encounter.objects.for_actor(by).for_purpose(purpose).select_related("patient", "patient__site")
    encounters = encounters.filter(kind="case", ward=ward_of_cases(task))
    if patient_ids is not None:
        encounters = encounters.filter(patient_id__in=list(patient_ids))
    rows = sorted(encounters.filter(upload_id=upload_id) if upload_id else encounters, key=_in_table)
    ids = [row.pk for row in rows]
    values: dict[Any, list[Observation]] = {}
    found = Observation.objects.for_actor(by).for_purpose(purpose).filter(encounter_id__in=ids, system=case_system(task))
    for value in found:
        values.setdefault(value.encounter_id, []).append(value)
    pictures: dict[Any, list[Rendition]] = {}
    renditions = Rendition.objects.for_actor(by).for_purpose(purpose).select_related("instance__series__study").filter(
        kind="model", instance__is_dropped=False, instance__series__study__encounter_id__in=ids
    )
    for rendition in renditions:
        pictures.setdefault(rendition.instance.series.study.encounter_id, []).append(rendition)
    return [_case(task, row, values.get(row.pk, []), pictures.get(row.pk, [])) for row in rows]


def _in_table(row: Encounter) -> tuple[datetime, int, str]:
    """Tables as they came in, and of one the rows as they stand in it: as text row 10 would come before row 9."""
    number = row.source.rpartition(" ")[2]
    return row.starts_at, int(number) if number.isdecimal() else 0, row.source


def as_training(cases: Sequence[StoredCase]) -> list[Case]:
    """Those with a known outcome that had not come before the index moment, for training."""
    return [
        Case(case.snapshot, case.outcome, case.time_days, case.kind, case.image_outcomes)
        for case in cases
        if case.outcome is not None and case.is_asked
    ]


def _case(task: RiskTask, row: Encounter, values: list[Observation], pictures: list[Rendition]) -> StoredCase:
    index = row.starts_at
    outcome = time_days = kind = None
    own: dict[str, str] = {}  # an image's outcome names its image by its source
    for value in (value for value in values if value.observed_at > index):
        if value.code == task.outcome.time_column:
            time_days = value.value_number
        if value.code == task.outcome.column:
            word = value.words or f"{value.value_number:g}"
            outcome, kind = outcome_of(task.outcome, word), kind_of(task.outcome, word)
        if value.code == image_outcome_code(task):
            own[value.source] = value.words
    # slot by slot, and in a slot as they came in
    shown = sorted(pictures, key=lambda picture: (picture.instance.view, picture.instance.pk))
    snapshot = PatientSnapshot(
        key=str(row.pk), person=str(row.patient_id), index_time=index,
        values=tuple(record_value(value) for value in values if value.observed_at <= index),
        images=tuple(snapshot_image(picture, picture.instance.view) for picture in shown),
        site=row.patient.site.code,
    )  # fmt: skip
    images = tuple(outcome_of(task.outcome, own.get(picture.instance.source, "")) for picture in shown) if task.pooled else ()
    return StoredCase(snapshot, str(row.patient_id), str(row.pk), outcome, row.patient.data_version, time_days, kind, image_outcomes=images)


def record_value(row: Observation) -> RecordValue:
    """An observation as the library knows it."""
    value = row.words if row.value_number is None else row.value_number
    return RecordValue(row.code, row.system, value, row.unit or None, row.observed_at, row.source, str(row.pk))


def snapshot_image(rendition: Rendition, slot: str) -> SnapshotImage:
    """A model rendition's pixels as the image of one slot. Raises IntegrityBroken when the file was changed."""
    instance = rendition.instance
    raw = vault.get(rendition.blob_key, sha256=rendition.blob_sha256)
    region = None
    if instance.region:
        left, top, right, bottom = instance.region
        region = Region(left, top, right, bottom, marked_by="door", **(instance.outline or {}))
    return SnapshotImage(
        slot=slot, modality=instance.series.modality, body_part=instance.series.body_part,
        view=instance.view, time=instance.acquired_at, source=instance.source, sha256=instance.blob_sha256,
        pixels=np.load(io.BytesIO(raw), allow_pickle=False), region=region, id=str(instance.pk),
    )  # fmt: skip
