"""Reading requests for access: one's own, those that wait for a decision, and the one behind what a person may see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Q

from salus_web.access.models import AccessRequest, RequestState
from salus_web.accounts.actors import Actor
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.selectors import sites_as
from salus_web.common.clock import now
from salus_web.records.models import CareTeam, Patient
from salus_web.records.selectors import why_may_see, why_seen

SHOWN_AT_MOST = 50
TEAMS_OFFERED = 50


def own_requests(*, viewer: Actor) -> list[AccessRequest]:
    """The viewer's own requests, the newest fifty, each with `holds`: granted, and not over (1 query)."""
    authorize(viewer, "access.ask", Resource("request"))
    holds = ExpressionWrapper(_holding(), output_field=BooleanField())
    rows = AccessRequest.objects.filter(user_id=viewer.id).annotate(holds=holds).select_related("site", "decided_by")
    return list(rows.order_by("-asked_at", "pk")[:SHOWN_AT_MOST])


def waiting_requests(*, viewer: Actor) -> list[AccessRequest]:
    """The requests at the viewer's hospitals that nobody has decided on, the oldest first, one more than are shown (2 queries)."""
    authorize(viewer, "access.read", Resource("request"))
    rows = AccessRequest.objects.filter(site__in=_sites(viewer), state=RequestState.OPEN, ends_at__gt=now())
    return list(rows.select_related("site", "user").order_by("asked_at", "pk")[: SHOWN_AT_MOST + 1])


def granted_requests(*, viewer: Actor) -> list[AccessRequest]:
    """What was granted at the viewer's hospitals and holds now, what ends first on top, one more than are shown (2 queries)."""
    authorize(viewer, "access.read", Resource("request"))
    rows = AccessRequest.objects.filter(_holding(), site__in=_sites(viewer))
    return list(rows.select_related("site", "user", "decided_by").order_by("ends_at", "pk")[: SHOWN_AT_MOST + 1])


def _sites(viewer: Actor) -> list[Any]:
    return sites_as(viewer=viewer, roles=["administrator", "auditor"])


def _holding() -> Q:
    """What was granted and was ended neither by its day nor by a hand before it."""
    moment = now()
    held = Q(relation__ends_at__gt=moment) | Q(membership__ends_at__gt=moment) | Q(guest__ends_at__gt=moment)
    return held & Q(state=RequestState.GRANTED)


def team_names(*, viewer: Actor, sites: Sequence[Any]) -> list[str]:
    """The first names of care teams of these hospitals, each once, one more than are offered (1 query). Any other is typed."""
    authorize(viewer, "access.ask", Resource("team"))
    names = CareTeam.objects.filter(site__in=list(sites)).order_by("name").values_list("name", flat=True)
    return list(names.distinct()[: TEAMS_OFFERED + 1])


def why(*, viewer: Actor, patient: Patient, user: Any, actor: Actor) -> str:
    """The sentence of `records.selectors.why_may_see`, with who granted it where it was asked for (4 queries)."""
    said = why_may_see(viewer=viewer, patient=patient, user=user)
    relation = why_seen(actor, patient)
    if relation is None or "may not" in said:
        return said
    through = Q(relation=relation) | Q(membership__team=relation.team_id) if relation.team_id else Q(relation=relation)
    row = AccessRequest.objects.filter(_holding(), through, user_id=user.pk).select_related("decided_by").first()
    if row is None or row.decided_by is None or row.decided_at is None:
        return said
    return f"{said[:-1]}, on a request that {row.decided_by.display_name} granted on {row.decided_at:%d %b %Y}."
