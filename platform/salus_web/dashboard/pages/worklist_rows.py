"""The work list for a program: numbers instead of words, and no number where the page would show none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from salus_web.audit.services import Act, record_many
from salus_web.common.errors import Hidden
from salus_web.predictions.models import CurrentRisk, PredictionState
from salus_web.predictions.selectors import worklist
from salus_web.registry.selectors import titles


def rows_of(viewer: Any, *, task_id: str, page: int) -> dict[str, Any]:
    """One page of 25; each patient in it is written to the log, as on the screen. Of a task that nobody on the list has a risk of
    there are no rows; Hidden for one that no model answers."""
    found = worklist(viewer=viewer, task_id=task_id, order="risk", page=page)
    if task_id and found.task_id != task_id:
        if task_id not in titles():
            raise Hidden(f"No model answers the task “{task_id[:60]}”.")
        found = replace(found, task_id=task_id, rows=[], has_next=False, updated=None)
    record_many([Act("worklist.read", "patient", str(row.patient_id), row.patient.pseudonym, "care") for row in found.rows], by=viewer)
    return {
        "task": found.task_id, "tasks": [{"id": key, "title": title} for key, title, _ in found.tasks],
        "rows": [_row(risk) for risk in found.rows], "page": found.page, "has_next": found.has_next,
        "updated_at": found.updated.isoformat() if found.updated else None,
    }  # fmt: skip


def _row(risk: CurrentRisk) -> dict[str, Any]:
    prediction, shown = risk.prediction, risk.state == PredictionState.COMPUTED
    return {
        "patient_id": str(risk.patient_id), "record_number": risk.patient.mrn, "name": risk.patient.name, "state": risk.state,
        "probability": prediction.probability if shown else None, "low": prediction.low if shown else None,
        "high": prediction.high if shown else None, "prediction_id": str(prediction.pk), "case": prediction.case,
        "index_at": prediction.index_at.isoformat(), "updated_at": risk.updated_at.isoformat(),
    }  # fmt: skip
