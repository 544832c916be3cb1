"""How risks spread over a cohort and how well they told what became of its members. Safe figures only leave `outcomes`."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
from django.db.models import F, QuerySet
from salus_learn.contracts import EMPTY_WORD, OutcomeSpec
from salus_learn.tasks.horizon import known_at
from salus_learn.tasks.words import outcome_of

from salus_web.accounts.actors import Actor
from salus_web.cohorts.blurring import blurred
from salus_web.cohorts.definition import CohortDefinition
from salus_web.cohorts.disclosure import SMALLEST, safe_cells, safe_count, safe_share, safe_total, share_of
from salus_web.cohorts.models import Project
from salus_web.cohorts.people import ACTOR, RISK_BANDS, draw_of, member_rows, risk_band
from salus_web.cohorts.performance import auroc, blurred_area
from salus_web.cohorts.selectors import project_for
from salus_web.common.clock import now
from salus_web.predictions.models import CurrentRisk, Prediction, PredictionState
from salus_web.records.models import Condition, Observation
from salus_web.records.scopes import RESEARCH
from salus_web.registry.models import ModelBundle
from salus_web.registry.selectors import speaking_bundle

TOO_FEW = "Fewer than 11 people with the outcome, or without it, are known here, so nothing is shown."
# leaving out whom the model cannot tell of would flatter it: they are the hard ones, and training's figures hold them too
JUDGED = "Judged is everybody whose risk was worked out and whose outcome is known, also those of whom the model cannot tell ({unsure}), by the number that is not shown for them."
LOST = " Who was lost before the horizon is left out, as nobody knows of them."


class Judgement(NamedTuple):
    """The risk that a patient is judged by, what became of them (1: the outcome came), and whether the model cannot tell."""

    risk: float
    outcome: int
    is_unsure: bool


@dataclass(frozen=True, slots=True)
class _Judged:
    """The prediction by which a patient's outcome is looked up and judged."""

    encounter_id: Any
    index_at: Any
    probability: float
    state: str


def outcomes(*, viewer: Actor, project: Project, definition: CohortDefinition, task_id: str) -> dict[str, Any]:
    """How the members' risks by a task spread over five bands, and how well they told the outcome (6 queries, 7 with time to an event)."""
    project = project_for(viewer, project.pk)
    inside = member_rows(project, definition).values("pk")
    risks = CurrentRisk.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        task_id=task_id, state=PredictionState.COMPUTED, sort_probability__isnull=False, patient_id__in=inside
    )
    found = list(risks.values_list("sort_probability", flat=True))
    bands = _bands(found, _bands_asked(definition, task_id))
    return {"task_id": task_id, **bands, "performance": _performance(task_id, _to_judge(project, definition))}


def _to_judge(project: Project, definition: CohortDefinition) -> QuerySet[Any]:
    """The members, and where the definition asks for any risk at all also those whose risk is not shown."""
    is_any = definition.risk_low is None and definition.risk_high is None
    return member_rows(project, replace(definition, task_id=None) if is_any else definition).values("pk")


def judged_outcomes(task_id: str, patients: Sequence[str] | QuerySet[Any]) -> dict[str, Judgement]:
    """Those of these patients who have a risk by the task, shown or not, and whose outcome is known, by patient id (3 queries, 4
    with time to an event). For code, not for people: it names patients.

    For a case table's task the outcome is the case's value recorded after its start under the outcome's
    column, with time to an event as it was at the horizon; for a record's task a condition with the outcome's code, recorded
    within the horizon after the index moment. Before the horizon is over nothing is known.
    """
    bundle = speaking_bundle(task_id)
    return _judgements(bundle, _outcome_table(bundle), patients) if bundle else {}


def _judgements(
    bundle: ModelBundle, outcome: dict[str, Any], patients: Sequence[str] | QuerySet[Any]
) -> dict[str, Judgement]:
    judged = _judged(bundle, patients, outcome)
    known = _known(outcome, judged, patients)
    return {
        key: Judgement(judged[key].probability, found, judged[key].state == PredictionState.ABSTAINED) for key, found in known.items()
    }


def _bands_asked(definition: CohortDefinition, task_id: str) -> tuple[str, ...]:
    """The bands that the definition's range of risk reaches into: that nobody is in the others needs no count."""
    low, high = (definition.risk_low, definition.risk_high) if definition.task_id == task_id else (None, None)
    first, last = risk_band(0.0 if low is None else low), risk_band(1.0 if high is None else high)
    return RISK_BANDS[RISK_BANDS.index(first) : RISK_BANDS.index(last) + 1]


def _bands(found: list[float], asked: tuple[str, ...]) -> dict[str, Any]:
    """The bands, made safe together."""
    counts = dict.fromkeys(asked, 0) | Counter(risk_band(risk) for risk in found)
    cells = safe_cells(counts)
    shown = [{"band": band, "count": cells[band], "share": share_of(cells[band], counts[band], len(found))} for band in asked]
    return {"bands": shown, "with_risk": safe_total(cells.values())}


def _performance(task_id: str, patients: QuerySet[Any]) -> dict[str, Any]:
    """Area under the ROC curve of the members with a known outcome, or a sentence why there is none.

    Blurred like a mean: with eleven cases one person moves the area by up to a ninth, and the ranks of single persons
    could be worked out from two cohorts.
    """
    bundle = speaking_bundle(task_id)
    outcome = _outcome_table(bundle) if bundle else {}
    known = _judgements(bundle, outcome, patients) if bundle else {}
    risks, y = [one.risk for one in known.values()], [one.outcome for one in known.values()]
    events = sum(y)
    area = auroc(y, risks) if min(events, len(y) - events) >= SMALLEST else None
    if area is None:
        return {"refused": TOO_FEW}
    draw = draw_of(f"performance of {task_id}", {key: [one.risk, one.outcome] for key, one in known.items()})
    unsure = sum(one.is_unsure for one in known.values())
    cannot_tell = safe_cells({"cannot tell": unsure, "told": len(y) - unsure})["cannot tell"]
    told, mean = blurred_area(area, events, len(y) - events, draw), blurred(risks, draw)
    return {
        "n": safe_count(len(y)), "events": safe_count(events), "auroc": told.value, "low": told.low, "high": told.high,
        "at_most": told.at_most, "observed": safe_share(events, len(y)),
        "mean_risk": min(max(mean.mean, 0.0), 1.0) if mean else None, "mean_at_most": mean.at_most if mean else None,
        "cannot_tell": cannot_tell, "judged": _judged_said(cannot_tell, outcome),
    }  # fmt: skip


def _outcome_table(bundle: ModelBundle) -> dict[str, Any]:
    """The [outcome] of the task file that the bundle was trained for."""
    found: dict[str, Any] = tomllib.loads(bundle.task.text)["outcome"]
    return found


def _judged_said(cannot_tell: int | None, outcome: dict[str, Any]) -> str:
    """Who is judged, in a sentence."""
    unsure = f"about {cannot_tell}" if cannot_tell else "how many is hidden, as they or the others are few"
    return JUDGED.format(unsure=unsure) + (LOST if outcome.get("time_column") else "")


def _judged(bundle: ModelBundle, patients: Sequence[str] | QuerySet[Any], outcome: dict[str, Any]) -> dict[str, _Judged]:
    """Each patient's one prediction to judge, by the bundle whose task file says what the outcome is (1 query)."""
    rows = _predictions(bundle.pk, patients)
    if not outcome.get("column"):
        rows = rows.filter(index_at__lte=now() - timedelta(days=float(outcome.get("horizon_days", 0))))
    # a later row replaces an earlier one, and “out_of_fold” sorts after “live”: whoever the bundle was trained on
    # is judged by the risk of a model that had not seen them. Of a stay with several index moments the first is judged: the
    # last one before the outcome, or before going home, would know more than anybody did
    last_stay = F("encounter__starts_at").asc(nulls_first=True)
    rows = rows.order_by("origin", last_stay, "-index_at", "created_at")
    columns = ("patient_id", "encounter_id", "index_at", "probability", "state")
    return {str(key): _Judged(*rest) for key, *rest in rows.values_list(*columns)}


def _predictions(bundle_id: Any, patients: Sequence[str] | QuerySet[Any]) -> QuerySet[Any]:
    return Prediction.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        bundle_id=bundle_id, state__in=(PredictionState.COMPUTED, PredictionState.ABSTAINED), probability__isnull=False,
        patient_id__in=patients,
    )  # fmt: skip


def _known(
    outcome: dict[str, Any], judged: dict[str, _Judged], patients: Sequence[str] | QuerySet[Any]
) -> dict[str, int]:
    """The outcomes of judged predictions where they are known (1 query)."""
    if outcome.get("column"):
        return _known_cases(outcome, judged, patients)
    end = timedelta(days=float(outcome.get("horizon_days", 0)))
    recorded: dict[str, list[Any]] = {key: [] for key in judged}
    found = Condition.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(code=outcome.get("code"), patient_id__in=patients)
    for key, moment in found.values_list("patient_id", "recorded_at"):
        if str(key) in recorded:
            recorded[str(key)].append(moment)
    return {
        key: int(any(one.index_at < moment <= one.index_at + end for moment in recorded[key]))
        for key, one in judged.items()
    }  # fmt: skip


def _known_cases(
    outcome: dict[str, Any], judged: dict[str, _Judged], patients: Sequence[str] | QuerySet[Any]
) -> dict[str, int]:
    """What the words in the outcome's column say, with time to an event at the horizon; who is not known is none (1 query, 2 with time)."""
    # an empty cell is stored as a word where the task file lists it
    positive, negative = (tuple(str(word) or EMPTY_WORD for word in outcome.get(key, [])) for key in ("positive", "negative"))
    horizon = float(outcome.get("horizon_days", 0))
    spec = OutcomeSpec("", horizon, positive=positive, negative=negative, separator=str(outcome.get("separator", "")))
    words = {
        case: outcome_of(spec, text or ("" if number is None else f"{number:g}"))
        for case, (text, number) in _said_of_cases(outcome["column"], patients).items()
    }
    if outcome.get("time_column"):
        days = {case: number for case, (_, number) in _said_of_cases(outcome["time_column"], patients).items()}
        words = _at_horizon(words, days, horizon)
    known = {key: words.get(one.encounter_id) for key, one in judged.items()}
    return {key: found for key, found in known.items() if found is not None}


def _at_horizon(words: dict[Any, int | None], days: dict[Any, float | None], horizon: float) -> dict[Any, int | None]:
    """Whether the outcome had come by the horizon, by case; None of somebody who was lost before it."""
    y, time = (np.array([found.get(case) for case in words], dtype=float) for found in (words, days))
    return {case: None if np.isnan(one) else int(one) for case, one in zip(words, known_at(y, time, horizon), strict=True)}


def _said_of_cases(column: str, patients: Sequence[str] | QuerySet[Any]) -> dict[Any, tuple[str, float | None]]:
    """What was recorded under a column after each case's start, word and number, by case (1 query)."""
    found = Observation.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        code=column, encounter__kind="case", observed_at__gt=F("encounter__starts_at"), patient_id__in=patients
    )
    return {case: (text, number) for case, text, number in found.values_list("encounter_id", "value_text", "value_number")}
