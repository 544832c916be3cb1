"""What is here of one person, table by table and file by file: counted, and deleted. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import models

from salus_web.access.models import BreakGlass
from salus_web.accounts.actors import system
from salus_web.imaging.models import Instance, Rendition, Series, Study
from salus_web.predictions.models import CurrentRisk, Prediction, Review, RiskMap
from salus_web.records.models import (
    Allergy,
    Condition,
    Encounter,
    Medication,
    Observation,
    PatientNameToken,
)
from salus_web.records.sealing import OWN, blob_columns

KEEPER = system("keeping")
# in an order in which nothing is deleted before what points at it
RISKS = (Review, RiskMap, CurrentRisk, Prediction)
IMAGES = (RiskMap, Rendition, Instance, Series, Study)
RECORD = (*RISKS, Rendition, Instance, Series, Study, Observation, Condition, Medication, Allergy, Encounter, PatientNameToken, BreakGlass)
KINDS: dict[str, tuple[type[models.Model], ...]] = {"record": RECORD, "images": IMAGES, "risks": RISKS}
KIND_WORDS = {
    "record": "the whole record (the person is erased)",
    "images": "images, with their maps",
    "risks": "computed risks, with their receipts and judgements",
}
# what stays when a person is erased, and why
KEPT = {
    "Consent": "what the person allowed and took back: the hospital's proof, without any clinical fact",
    "CareRelation": "live care relations for 90 days, without reason and first day, so that those who cared for the person read that they were erased",
    "LegalHold": "that there was a legal hold, and who set and lifted it; not why",
    "FollowUp": "what still has to be done about files that went out and about models",
    "Erasure": "who asked for this, who agreed, why, and when",
    "RetentionItem": "what a retention run listed: that there was a record, and how much of it went",
    "BundlePerson": "which models were trained on the person: they still hold what they learned",
}


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is here: rows and files."""

    rows: int = 0
    files: int = 0


def amount_of(patient_id: Any, kind: str) -> Amount:
    """What would go of one person for one kind of record (a query per table)."""
    tables = KINDS[kind]
    rows = sum(_rows(model, patient_id).count() for model in tables)
    return Amount(rows, len(_blobs(tables, patient_id)))


def delete_of(patient_id: Any, kind: str) -> tuple[Amount, list[str]]:
    """Delete the rows; returns how much went and the names of the files, which the caller removes once that is kept."""
    tables = KINDS[kind]
    files, number = _blobs(tables, patient_id), 0
    for model in tables:
        rows = _rows(model, patient_id)
        number += rows.count()
        rows.delete()
    return Amount(number, len(files)), files


def _rows(model: Any, patient_id: Any) -> Any:
    return model.objects.for_actor(KEEPER).filter(patient_id=patient_id)


def _blobs(tables: Iterable[type[models.Model]], patient_id: Any) -> list[str]:
    """The names of the files that these tables' rows of a person name."""
    held = set(tables)
    columns = [column for column in blob_columns() if column.owner == OWN and column.model in held]
    found = [key for column in columns for key in _rows(column.model, patient_id).values_list(column.column, flat=True)]
    return [key for key in found if key]
