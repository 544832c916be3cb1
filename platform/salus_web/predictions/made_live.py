"""Asking a model that was just made live of everybody whose risk another model gave or no longer stands: no new data need come in that would ask,
and a list on which two models speak side by side ranks nobody."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from salus_web.predictions.models import CurrentRisk, PredictionState
from salus_web.predictions.services import OUT_OF_FOLD, allowing, request
from salus_web.registry.models import ModelBundle

A_JOB = 100  # patients: one job is one transaction at its end
AT_MOST = 2_000  # one request asks for them all; who is left keeps the risk that stands there until somebody asks


def ask_everybody(*, bundle: ModelBundle, by: Any) -> tuple[int, int]:
    """Ask the bundle of the patients who have a risk of its question from another one, or one that is stale or withdrawn, the one
    that has stood longest first. Returns for how many it was asked, and how many were left out.

    Call inside the transaction that makes it live. Nobody is asked for whose risk was only ever given in training and stands, nor where the bundle's policy is to be asked by people only.
    """
    if not bundle.requests_on_new_data:
        return 0, 0
    rows = _others(bundle, by)
    left_out = max(rows.count() - AT_MOST, 0)
    found = [str(key) for key in rows.order_by("updated_at", "pk").values_list("patient_id", flat=True)[:AT_MOST]]
    asked = 0
    for start in range(0, len(found), A_JOB):
        whom = allowing(patient_ids=found[start : start + A_JOB], by=by)
        if whom:
            request(patient_ids=whom, bundle=bundle, why="another model is live now", by=by)
        asked += len(whom)
    return asked, left_out


def _others(bundle: ModelBundle, by: Any) -> QuerySet[CurrentRisk]:
    stands = ~Q(state__in=(PredictionState.STALE, PredictionState.WITHDRAWN))
    is_not_asked = Q(prediction__origin=OUT_OF_FOLD) | Q(prediction__bundle=bundle)
    return CurrentRisk.objects.for_actor(by).filter(task_id=bundle.task.task_id).exclude(stands & is_not_asked)
