"""The clinician's work list: one row per patient, the risk or the state that stands in its place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from salus_web.audit.services import Act, record_many
from salus_web.common.clock import now
from salus_web.dashboard.charts.risk import sparkline
from salus_web.dashboard.pages.banner import age_in_years
from salus_web.dashboard.pages.numbers import interval, percent, points
from salus_web.dashboard.pages.wording import STATES, unit
from salus_web.imaging.selectors import newest_films
from salus_web.predictions.models import CurrentRisk, PredictionState
from salus_web.predictions.selectors import account_of, recent_of_many, worklist
from salus_web.records.selectors import newest_readings, purposes


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    patient_id: Any
    prediction_id: Any
    name: str
    age_years: int | None
    sex: str
    sign: str
    word: str
    state: str
    risk: str
    interval: str
    index_at: datetime
    change: str
    reasons: list[str]
    spark: str
    film: datetime | None
    data: datetime | None
    is_emergency: bool
    case: str  # of a case table, of which a person may have several


@dataclass(frozen=True, slots=True)
class Page:
    """The list with its counts and choices."""

    task_id: str
    tasks: list[tuple[str, str, int]]
    order: str
    rows: list[Row]
    page: int
    has_next: bool
    counts: dict[str, int]
    updated: datetime | None


def page_of(viewer: Any, *, task_id: str, order: str, page: int) -> Page:
    """One page of 25, each shown patient written to the log (11 queries, whatever the size of the hospital)."""
    found = worklist(viewer=viewer, task_id=task_id, order=order, page=page)
    ids = [risk.patient_id for risk in found.rows]
    past = recent_of_many(viewer=viewer, risks=found.rows, task_id=found.task_id)
    readings, films = newest_readings(viewer=viewer, patient_ids=ids), newest_films(viewer=viewer, patient_ids=ids)
    why = purposes(viewer=viewer, patient_ids=ids)
    rows = [_row(risk, past.get(risk.patient_id, []), readings, films, why[risk.patient_id]) for risk in found.rows]
    record_many([Act("worklist.read", "patient", str(r.patient_id), r.patient.pseudonym, why[r.patient_id]) for r in found.rows], by=viewer)
    return Page(found.task_id, found.tasks, order, rows, found.page, found.has_next, found.counts, found.updated)


def _row(risk: CurrentRisk, past: list[Any], readings: dict[Any, datetime], films: dict[Any, datetime], why: str) -> Row:
    prediction, patient = risk.prediction, risk.patient
    sign, word = STATES[risk.state]
    is_number = risk.state == PredictionState.COMPUTED
    reasons = account_of(prediction).get("reasons", []) if is_number else []
    strongest = sorted(reasons, key=lambda reason: -abs(reason["points"]))[:3]
    # another case of a person is no earlier state of this one; stays are
    of_it = [p for p in past if not prediction.case or p.encounter_id == prediction.encounter_id]
    history = [(p.probability, p.low, p.high) if _still_holds(p, risk) else None for p in of_it[-8:]]
    return Row(
        patient_id=risk.patient_id, prediction_id=prediction.pk, name=patient.name or "no name recorded",
        age_years=age_in_years(patient.birth_date, now().date()), sex=patient.sex[:1].upper() if patient.sex != "unknown" else "",
        sign=sign, word=word, state=risk.state, risk=percent(prediction.probability) if is_number else "",
        interval=interval(prediction.low, prediction.high) if is_number else "",
        index_at=prediction.index_at, change=points(100 * risk.change) if is_number and risk.change is not None else "",
        reasons=[f"{_named(reason)} {points(reason['points'])}" for reason in strongest],
        spark=sparkline(history, [percent(point[0]) if point else "no number" for point in history]), film=films.get(risk.patient_id),
        data=readings.get(risk.patient_id), is_emergency=why == "emergency", case=prediction.case,
    )  # fmt: skip


def _still_holds(past: Any, risk: CurrentRisk) -> bool:
    """Whether a number of the line “so far” may be drawn: not the one that went stale, and none beside a withdrawn model."""
    if past.state != PredictionState.COMPUTED or past.low is None or risk.state == PredictionState.WITHDRAWN:
        return False
    return risk.state != PredictionState.STALE or past.pk != risk.prediction_id


def _named(reason: dict[str, Any]) -> str:
    """“SpO₂ 88 %” for a reading, the label alone for an image or what is missing."""
    if reason["part"] == "image" or reason["missing"]:
        return reason["label"]
    return f"{reason['label']} {reason['value']} {unit(reason['unit'])}".rstrip()
