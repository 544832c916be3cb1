"""One patient on one page: risks, the record on one time axis, images, problems and drugs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from salus_learn.tasks.limits import Limit, limit_of

from salus_web.common.clock import now
from salus_web.dashboard.charts.timeline import Point, RiskMark, Span, Timeline, in_words, timeline
from salus_web.dashboard.pages.numbers import interval, measured, percent
from salus_web.dashboard.pages.wording import STATES, at, film_name, how, left_out, unit
from salus_web.imaging.models import Instance
from salus_web.imaging.selectors import films_of
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState
from salus_web.predictions.selectors import current_of, history
from salus_web.records.models import Medication, Observation, Patient
from salus_web.records.selectors import VALUES_AT_MOST, RecordRows, last_moment, newest_of_each, record_rows
from salus_web.registry.models import BundleState, ModelBundle
from salus_web.registry.selectors import live_bundles

SPANS = {"3d": ("3 days", 3), "30d": ("30 days", 30), "1y": ("1 year", 365), "all": ("all", 365 * 130)}
LANES, DRUGS, RISKS = 9, 8, 60
SPEAKING = {PredictionState.COMPUTED, PredictionState.ABSTAINED, PredictionState.FAILED}  # what they found is true of now


@dataclass(frozen=True, slots=True)
class RiskNow:
    """A current risk as shown in the rail: with a number only when computed. `index_at` is the moment it speaks of, `when` the one at
    which it was computed, `left_out` that of the newest value since the moment it speaks of."""

    prediction_id: Any
    title: str
    sign: str
    word: str
    state: str
    number: str
    interval: str
    why: str
    index_at: datetime
    when: datetime
    case: str
    left_out: datetime | None


@dataclass(frozen=True, slots=True)
class Earlier:
    """A risk among those so far: with a number unless its model was withdrawn or it is the current one and no longer holds."""

    prediction: Prediction
    state: str
    number: str
    interval: str
    how: str


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest value of one measurement."""

    label: str
    value: str
    unit: str
    time: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Page:
    """The patient page."""

    span: str
    spans: list[tuple[str, str]]
    chart: str
    in_words: list[tuple[str, list[str]]]
    risks: list[RiskNow]
    earlier: list[Earlier]
    newest: list[Newest]
    more_values: bool
    more_drugs: int
    rows: RecordRows
    films: list[Instance]
    bundles: list[ModelBundle]
    cut: bool


def page_of(patient: Patient, viewer: Any, *, span: str) -> Page:
    """Gather the page (13 queries, whatever the length of the record, and one for each list of problems or drugs that is not shown whole)."""
    span = span if span in SPANS else "3d"
    # something with a date to come must not hide what there is now
    newest = last_moment(viewer=viewer, patient=patient)
    last = min(newest or now(), now())
    since = last - timedelta(days=SPANS[span][1])
    rows = record_rows(viewer=viewer, patient=patient, since=since)
    current = current_of(viewer=viewer, patient_id=patient.pk)
    held = {risk.prediction_id: risk.state for risk in current}
    past = [_earlier(row, held.get(row.pk)) for row in history(viewer=viewer, patient_id=patient.pk)[:RISKS]]
    films, values = films_of(viewer=viewer, patient_id=patient.pk), newest_of_each(viewer=viewer, patient=patient)
    drugs = [drug for drug in rows.medications if drug.ends_at is None or drug.ends_at > since]
    drawn = _timeline(rows, past, films, drugs, since, last)
    return Page(
        span=span, spans=[(key, words) for key, (words, _) in SPANS.items()],
        chart=timeline(drawn) if drawn else "", in_words=in_words(drawn) if drawn else [], risks=[_now(risk, newest) for risk in current],
        earlier=past, newest=[_newest(row) for row in values[:VALUES_AT_MOST]], more_values=len(values) > VALUES_AT_MOST,
        more_drugs=max(0, len(drugs) - DRUGS), rows=rows, films=films, bundles=live_bundles(), cut=len(rows.observations) == 3000,
    )  # fmt: skip


def _now(risk: CurrentRisk, newest: datetime | None) -> RiskNow:
    prediction = risk.prediction
    sign, word = STATES[risk.state]
    shown = risk.state == PredictionState.COMPUTED
    return RiskNow(
        prediction.pk, prediction.bundle.task.title, sign, word, risk.state, percent(prediction.probability) if shown else "",
        interval(prediction.low, prediction.high) if shown else "", prediction.why if risk.state in SPEAKING else "", prediction.index_at, prediction.created_at,
        prediction.case, left_out(prediction.index_at, risk.state, newest),
    )  # fmt: skip


def _earlier(row: Prediction, held: str | None) -> Earlier:
    """`held` is how it stands where it is a current one: only there is it known that data changed since."""
    state = str(PredictionState.WITHDRAWN) if row.bundle.state == BundleState.WITHDRAWN else held or row.state
    shown = state == PredictionState.COMPUTED
    number, span = (percent(row.probability), interval(row.low, row.high)) if shown else ("", "")
    return Earlier(row, state, number, span, how(row.origin, row.bundle.state))


def _by_code(observations: Sequence[Observation]) -> dict[tuple[str, str], list[Observation]]:
    found: dict[tuple[str, str], list[Observation]] = {}
    for row in observations:
        found.setdefault((row.code, row.unit), []).append(row)
    return found


def _value(row: Observation) -> str:
    """What was found; beside one that the sender has not verified yet, the word for it."""
    return f"{row.words if row.value_number is None else measured(row.value_number)}{' (preliminary)' if row.is_preliminary else ''}"


def _newest(row: Observation) -> Newest:
    return Newest(row.display, _value(row), unit(row.unit), row.observed_at, row.source)


def _timeline(
    rows: RecordRows, past: Sequence[Earlier], films: Sequence[Instance], drugs: Sequence[Medication], since: datetime, last: datetime
) -> Timeline | None:
    """What fell into the span, with the drugs that were given in it; it begins where the first thing in it was recorded, or with
    the span where nothing was."""
    readings = sorted(
        (found for found in _by_code([row for row in rows.observations if _measured(row)]).values() if len(found) > 1),
        key=len, reverse=True,
    )[:LANES]  # fmt: skip
    risks = [_mark(row) for row in _by_moment(past) if row.prediction.index_at >= since]
    pictures = [Point(film.acquired_at, 0, f"{film_name(film)}, {at(film.acquired_at)}") for film in films if film.acquired_at and film.acquired_at >= since]
    starts = [row.observed_at for row in rows.observations] + [mark.at for mark in risks] + [point.at for point in pictures]
    if not starts and not drugs:
        return None
    end = max(starts, default=last)
    start = max(since, min(starts or [drug.starts_at for drug in drugs]))
    return Timeline(
        start=start, end=end if end > start else start + timedelta(hours=1), risks=risks,
        stays=[Span(stay.starts_at, stay.ends_at, f"{stay.ward or stay.kind}, from {stay.starts_at:%d %b %Y}") for stay in rows.encounters[-12:]],
        films=pictures, readings=[(_lane_label(found[0]), [_point(row, known) for row in found if (known := _measured(row))]) for found in readings],
        drugs=[Span(drug.starts_at, drug.ends_at, _drug_words(drug), drug.display) for drug in drugs[:DRUGS]],
    )  # fmt: skip


def _drug_words(drug: Medication) -> str:
    end = f" to {drug.ends_at:%d %b %Y}" if drug.ends_at else ""
    return f"{drug.display}, from {drug.starts_at:%d %b %Y}{end}"


def _by_moment(past: Sequence[Earlier]) -> list[Earlier]:
    """The risks in the order of the moments they speak of; of one moment and question the one given last."""
    last: dict[tuple[str, datetime], Earlier] = {}
    for row in past:  # the last given comes first
        last.setdefault((row.prediction.task_id, row.prediction.index_at), row)
    return sorted(last.values(), key=lambda row: row.prediction.index_at)


def _lane_label(row: Observation) -> str:
    return f"{row.display[:20]} {unit(row.unit)}".rstrip()


def _measured(row: Observation) -> Limit | None:
    """The number, or the limit that stands for one ("<5"); None where there is neither."""
    return limit_of(row.value_text) if row.value_number is None else Limit("", row.value_number)


def _point(row: Observation, known: Limit) -> Point:
    said = f"{known.sign}{measured(known.number)}"
    words = f"{row.display} {said} {unit(row.unit)}, {at(row.observed_at)}{', preliminary' if row.is_preliminary else ''}, {row.source}"
    return Point(row.observed_at, known.number, words, known.sign, said)


def _mark(row: Earlier) -> RiskMark:
    """A risk stands at the moment it speaks of, beside what was measured until then."""
    risk = row.prediction
    what, when = risk.bundle.task.title, f"as of {at(risk.index_at)}"
    if not row.number:
        return RiskMark(what, risk.index_at, None, None, None, f"{what}: {STATES[row.state][1]}, {when}")
    return RiskMark(what, risk.index_at, risk.probability, risk.low, risk.high, f"{what}: {row.number} ({row.interval}), {when}")
