"""How risks spread over a cohort and how well they told what became of its members. Safe figures only leave `outcomes`."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet
from salus_learn.contracts import EMPTY_WORD

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


@dataclass(frozen=True, slots=True)
class _Judged:
    """The prediction by which a patient's outcome is looked up and judged."""

    encounter_id: Any
    index_at: Any
    probability: float


def outcomes(*, viewer: Actor, project: Project, definition: CohortDefinition, task_id: str) -> dict[str, Any]:
    """How the members' risks by a task spread over five bands, and how well they told the outcome (5 queries)."""
    project = project_for(viewer, project.pk)
    inside = member_rows(project, definition).values("pk")
    risks = CurrentRisk.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        task_id=task_id, state=PredictionState.COMPUTED, sort_probability__isnull=False, patient_id__in=inside
    )
    found = list(risks.values_list("sort_probability", flat=True))
    return {"task_id": task_id, **_bands(found, _bands_asked(definition, task_id)), "performance": _performance(task_id, inside)}


def judged_outcomes(task_id: str, patients: Sequence[str] | QuerySet[Any]) -> dict[str, tuple[float, int]]:
    """(risk, outcome) of those of these patients who have a risk by the task and whose outcome is known, by patient id
    (3 queries). For code, not for people: it names patients.

    For a case table's task the outcome is the case's value recorded after its start under the outcome's
    column; for a record's task a condition with the outcome's code, recorded within the horizon after the
    index moment. Before the horizon is over nothing is known.
    """
    bundle = speaking_bundle(task_id)
    if bundle is None:
        return {}
    outcome = tomllib.loads(bundle.task.text)["outcome"]
    judged = _judged(bundle, patients, outcome)
    known = _known(outcome, judged, patients)
    return {key: (judged[key].probability, found) for key, found in known.items()}


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
    known = judged_outcomes(task_id, patients)
    risks, y = [risk for risk, _ in known.values()], [found for _, found in known.values()]
    events = sum(y)
    area = auroc(y, risks) if min(events, len(y) - events) >= SMALLEST else None
    if area is None:
        return {"refused": TOO_FEW}
    draw = draw_of(f"performance of {task_id}", known)
    told, mean = blurred_area(area, events, len(y) - events, draw), blurred(risks, draw)
    return {
        "n": safe_count(len(y)), "events": safe_count(events), "auroc": told.value, "low": told.low, "high": told.high,
        "at_most": told.at_most, "observed": safe_share(events, len(y)),
        "mean_risk": min(max(mean.mean, 0.0), 1.0) if mean else None, "mean_at_most": mean.at_most if mean else None,
    }  # fmt: skip


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
    columns = ("patient_id", "encounter_id", "index_at", "probability")
    return {str(key): _Judged(*rest) for key, *rest in rows.values_list(*columns)}


def _predictions(bundle_id: Any, patients: Sequence[str] | QuerySet[Any]) -> QuerySet[Any]:
    return Prediction.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        bundle_id=bundle_id, state=PredictionState.COMPUTED, probability__isnull=False, patient_id__in=patients
    )


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
    """The words in the outcome's column. A word that is neither positive nor negative, where both are listed, is none."""
    found = Observation.objects.for_actor(ACTOR).for_purpose(RESEARCH).filter(
        code=outcome["column"], encounter__kind="case", observed_at__gt=F("encounter__starts_at"), patient_id__in=patients
    )
    words = {
        case: text or f"{number:g}"
        for case, text, number in found.values_list("encounter_id", "value_text", "value_number")
        if text or number is not None
    }
    # an empty cell is stored as a word where the task file lists it
    positive, negative = ({str(word) or EMPTY_WORD for word in outcome.get(key, [])} for key in ("positive", "negative"))
    known = {key: words[one.encounter_id] for key, one in judged.items() if one.encounter_id in words}
    return {
        key: int(word in positive) for key, word in known.items() if word in positive or not negative or word in negative
    }
