"""Asking for a risk when a stay comes to an index moment, one at which a model speaks of it: no new data need come in then that
would ask. For each moment stays are walked in the order in which they began, each once, so that a round costs the same however
many there are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from salus_web.common.clock import now
from salus_web.jobs import leases
from salus_web.predictions.models import CurrentRisk, DueMoment, PredictionState
from salus_web.predictions.services import OUT_OF_FOLD, allowing, request
from salus_web.records.models import VISITS, Encounter
from salus_web.registry.models import ModelBundle
from salus_web.registry.selectors import live_since

PAGE, PAGES_A_ROUND = 50, 20
HOUR = timedelta(hours=1)
CLOCKS_DIFFER = timedelta(minutes=1)  # a worker whose clock is behind ours would find the stay too young still
BEFORE_LIVE = timedelta(days=7)  # whoever came to the index moment longer before a model was live is not asked of it
UNANSWERED = (PredictionState.STALE, PredictionState.WITHDRAWN)


def ask_when_due(*, bundle: ModelBundle, delay: timedelta, by: Any) -> int:
    """Ask for a risk of each patient with a stay whose index moment, `delay` after it began, has passed since the last look.
    Returns how many were asked for.

    Nobody is asked for who has a risk as of that moment or a later one, nor where the bundle's policy is to be asked by people
    only. Each page is one transaction with how far it came: who is killed meanwhile has asked for nothing of it, and of two
    who look at once the second leaves. Where the clock was set back, stays are looked at again as they come to their moment.
    """
    asked = 0
    for _ in range(PAGES_A_ROUND if bundle.requests_on_new_data else 0):
        found, is_last = _ask_page(bundle, delay, by)
        asked += found
        if is_last:
            break
    return asked


@transaction.atomic
def _ask_page(bundle: ModelBundle, delay: timedelta, by: Any) -> tuple[int, bool]:
    """The next page of stays: for how many patients a risk was asked, and whether there are no more for now."""
    moment = leases.moment()
    look = _held(bundle, delay, moment)
    if look is None:
        return 0, True
    until = moment - delay - CLOCKS_DIFFER
    stays = _stays(look, until, by)
    whom = _unanswered(stays, delay, look.task_id, by)
    for patient_id in whom:  # a job each, so that one who is asked for already is found, and one's fault is nobody else's
        request(patient_ids=[patient_id], bundle=bundle, why="the index moment has come", by=by)
    is_last = len(stays) < PAGE
    # that may be earlier than before: the clock was set back, or the model that is live now speaks later in a stay
    look.begun_to, look.after = (until, None) if is_last else (stays[-1].starts_at, stays[-1].pk)
    look.last_at, look.asked = now(), look.asked + len(whom)
    look.last_asked_at = look.last_at if whom else look.last_asked_at
    look.save()
    return len(whom), is_last


def _held(bundle: ModelBundle, delay: timedelta, moment: datetime) -> DueMoment | None:
    """How far the question's stays were looked through for this moment, held; None while somebody else holds it. The first
    look begins at those that came to their moment since the model is live."""
    since = min(live_since(bundle) or moment, moment)
    first, earliest = max(since, moment - BEFORE_LIVE) - delay, since - BEFORE_LIVE - delay
    which = {"task_id": bundle.task.task_id, "hours": delay / HOUR}
    DueMoment.objects.get_or_create(**which, defaults={"begun_to": first, "last_at": now()})
    look = DueMoment.objects.select_for_update(skip_locked=True).filter(**which).first()
    if look is not None and look.begun_to < earliest:  # no model was live for a long time
        look.begun_to, look.after = earliest, None
    return look


def _stays(look: DueMoment, until: datetime, by: Any) -> list[Encounter]:
    """The next page of stays that began up to a moment, in the order of their beginning."""
    rows = Encounter.objects.for_actor(by).exclude(kind__in=("case", *VISITS)).filter(is_taken_back=False, starts_at__gte=look.begun_to, starts_at__lte=until)
    rows = rows.filter(Q(starts_at__gt=look.begun_to) | (Q(pk__gt=look.after) if look.after else Q()))
    return list(rows.only("patient_id", "starts_at", "ends_at").order_by("starts_at", "pk")[:PAGE])


def _unanswered(stays: Sequence[Encounter], delay: timedelta, task_id: str, by: Any) -> list[str]:
    """Those of these stays' patients who lasted to the index moment, have no risk as of it or later, and allow one."""
    due = {stay.patient_id: stay.starts_at + delay for stay in stays if stay.lasts_to(stay.starts_at + delay)}
    risks = CurrentRisk.objects.for_actor(by).filter(task_id=task_id, patient_id__in=list(due)).exclude(state__in=UNANSWERED)
    found = risks.exclude(prediction__origin=OUT_OF_FOLD).values_list("patient_id", "prediction__index_at")
    answered = {patient_id for patient_id, index_at in found if index_at >= due[patient_id]}
    return allowing(patient_ids=list(set(due) - answered), by=by)
