"""A case table's rows as the typed people the door stores, so that everything behind it knows one form."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from salus_learn.contracts import RiskTask
from salus_learn.tasks.cases import CaseRow, case_system
from salus_learn.tasks.pictures import picture
from salus_web.ingest.parsers.dicom import wrap_picture

OUTCOME_DELAY = timedelta(seconds=1)


def person_of_row(task: RiskTask, row: CaseRow, taken_at: datetime) -> dict[str, Any]:
    """One row as a parsed person: the case is an encounter, its values observations at the index moment, its
    outcome an observation one second later, so that it can never be an input."""
    source = f"{task.table} row {row.number}"
    base = {"source": source, "encounter": row.case, "system": case_system(task), "unit": ""}
    observations = [
        base | {
            "key": f"{task.id}/{row.case}/{spec.name}", "code": spec.column, "display": spec.label,
            "unit": spec.unit or "", "observed_at": taken_at.isoformat(), **_value(row.values[spec.name]),
        }
        for spec in task.features
        if spec.name in row.values
    ]  # fmt: skip
    if row.outcome_word:
        observations.append(base | {
            "key": f"{task.id}/{row.case}/outcome", "code": task.outcome.column, "display": task.outcome.label,
            "observed_at": (taken_at + OUTCOME_DELAY).isoformat(), **_value(row.outcome_word),
        })  # fmt: skip
    if row.time_days is not None:
        observations.append(base | {
            "key": f"{task.id}/{row.case}/time", "code": task.outcome.time_column, "display": f"Time to {task.outcome.label}",
            "unit": "d", "observed_at": (taken_at + OUTCOME_DELAY).isoformat(), **_value(row.time_days),
        })  # fmt: skip
    encounter = {
        "key": f"case/{task.id}/{row.case}", "id": row.case, "kind": "case", "ward": f"Case review {task.id}",
        "reason": task.title, "starts_at": taken_at.isoformat(), "ends_at": None, "source": source,
    }  # fmt: skip
    return {
        "mrn": row.person, "mrn_system": case_system(task), "name": f"Case {row.case}", "birth_date": None,
        "sex": "unknown", "died_at": None, "is_simulated": False, "conditions": [], "medications": [],
        "allergies": [], "encounters": [encounter], "observations": observations,
        "images": [_image(task, row, at, taken_at) for at in range(len(row.images))],
    }  # fmt: skip


def _value(value: float | str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"number": None, "text": value}
    return {"number": value, "text": ""}


def _image(task: RiskTask, row: CaseRow, at: int, taken_at: datetime) -> dict[str, Any]:
    """A plain picture wrapped as DICOM, with its slot as the view and its marked region."""
    entry = row.images[at]
    pixels, _ = picture(entry.path, f"{task.table} row {row.number}")
    spec = {"modality": entry.spec.modality, "body_part": entry.spec.body_part, "view": entry.spec.name}
    image = wrap_picture(pixels, spec, row.person, f"{task.id}/{row.case}|{entry.spec.name}")
    region = entry.region
    box = None if region is None else [region.left, region.top, region.right, region.bottom]
    return image | {
        "region": box, "acquired_at": taken_at.isoformat(), "encounter": row.case,
        "source": f"{task.table} row {row.number}, {entry.path.name}",
    }  # fmt: skip
