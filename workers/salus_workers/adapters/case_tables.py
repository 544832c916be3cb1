"""A case table's rows as the typed people the door stores, so that everything behind it knows one form."""

from __future__ import annotations

import tomllib
from datetime import datetime, timedelta
from typing import Any

from salus_learn.contracts import RiskTask
from salus_learn.tasks.cases import case_system
from salus_learn.tasks.pictures import picture
from salus_learn.tasks.rows import CaseRow, RowImage
from salus_web.ingest.parsers.dicom import wrap_picture
from salus_web.records.identity import CASE_SYSTEM

OUTCOME_DELAY = timedelta(seconds=1)
# how an upload counts who of its table is no case, and whose word the task lists nowhere
LEFT_OUT, TAKEN = "left out: ", "taken for without the outcome"


def image_outcome_code(task: RiskTask) -> str:
    """The code of one image's own outcome, where several rows make a case; never the code of the case's outcome."""
    return f"{str(task.outcome.column)[:60]} of one image"


def data_set_of(task: RiskTask) -> str:
    """The data set a case table belongs to, as its task file names it; else the task. Tasks over one table of one data set share
    its people; nobody of it is anybody of another table or of the hospital, whatever number they have."""
    named = tomllib.loads(task.source_text)["task"].get("data")
    return str(named or task.id)


def person_of_row(task: RiskTask, row: CaseRow, taken_at: datetime) -> dict[str, Any]:
    """One case as a parsed person: the case is an encounter, its values observations at the index moment, its
    outcome an observation one second later, so that it can never be an input. One that is here already keeps its first moment (records.cases)."""
    source, data = f"{task.table} {row.place}", data_set_of(task)
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
    observations += [base | own for own in _image_outcomes(task, row, taken_at)]
    encounter = {
        "key": f"case/{task.id}/{row.case}", "id": row.case, "kind": "case", "ward": f"Case review {task.id}",
        "reason": task.title, "starts_at": taken_at.isoformat(), "ends_at": None, "source": source, "columns": _columns(task), "slots": [spec.name for spec in task.images],
    }  # fmt: skip
    return {
        "mrn": row.person, "mrn_system": f"{CASE_SYSTEM}{data}", "number_space": f"{data}/{task.table}", "name": _name_of(task, row), "birth_date": None,
        "sex": "unknown", "died_at": None, "death_is_dated": True, "is_simulated": False, "conditions": [], "medications": [],
        "allergies": [], "encounters": [encounter], "observations": observations,
        "images": [_image(task, row, entry, taken_at) for entry in row.images],
    }  # fmt: skip


def _name_of(task: RiskTask, row: CaseRow) -> str:
    """By the person's number, whatever their first case is called: they may have several."""
    return f"{'Person' if task.patient_column else 'Case'} {row.person}"


def _columns(task: RiskTask) -> list[str]:
    """The codes of all that a table says of its cases under this task file: a value of one of them that it no longer has is gone."""
    outcome = (task.outcome.column, task.outcome.time_column, image_outcome_code(task))
    return [column for column in (*(spec.column for spec in task.features), *outcome) if column]


def _image_outcomes(task: RiskTask, row: CaseRow, taken_at: datetime) -> list[dict[str, Any]]:
    """Each image's own outcome, where several rows make a case; it names its image by the image's source."""
    return [
        {
            "key": f"{task.id}/{row.case}/outcome of one image/{_name(entry)}", "code": image_outcome_code(task),
            "display": f"{task.outcome.label} (one image)", "source": _image_source(task, entry),
            "observed_at": (taken_at + OUTCOME_DELAY).isoformat(), **_value(entry.outcome_word),
        }
        for entry in row.images
        if entry.own_case and entry.outcome_word
    ]  # fmt: skip


def _value(value: float | str) -> dict[str, Any]:
    if isinstance(value, str):
        return {"number": None, "text": value}
    return {"number": value, "text": ""}


def _name(entry: RowImage) -> str:
    """What tells the images of one case apart: the slot, and with several in a slot the case that each row names itself."""
    return f"{entry.spec.name}|{entry.own_case}" if entry.own_case else entry.spec.name


def _image_source(task: RiskTask, entry: RowImage) -> str:
    return f"{task.table} row {entry.row}, {entry.path.name}"


def _image(task: RiskTask, row: CaseRow, entry: RowImage, taken_at: datetime) -> dict[str, Any]:
    """A plain picture wrapped as DICOM, with its slot as the view and its marked region."""
    pixels, _ = picture(entry.path, f"{task.table} row {entry.row}")
    spec = {"modality": entry.spec.modality, "body_part": entry.spec.body_part, "view": entry.spec.name}
    image = wrap_picture(pixels, spec, row.person, f"{task.id}/{row.case}|{_name(entry)}")
    region = entry.region
    box = None if region is None else [region.left, region.top, region.right, region.bottom]
    outline = None
    if region is not None and region.solidity is not None:
        outline = {"solidity": region.solidity, "roundness": region.roundness}
    return image | {
        "region": box, "outline": outline, "acquired_at": taken_at.isoformat(), "encounter": row.case,
        "source": _image_source(task, entry),
    }  # fmt: skip
