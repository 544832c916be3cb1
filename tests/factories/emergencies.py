"""Emergency accesses as they stand in the database, at any age, and requests for access."""

from __future__ import annotations

from datetime import timedelta

from salus_web.access.models import AccessRequest, BreakGlass
from salus_web.access.requests import ask_access
from salus_web.access.services import OPEN_FOR, REVIEWED_WITHIN
from salus_web.accounts.models import Site, User
from salus_web.accounts.selectors import actor_for_user
from salus_web.common.clock import now
from salus_web.records.models import CareRelation, Patient
from salus_web.records.scopes import EMERGENCY

WORDS = "Qreason: found on the floor of the corridor"


def broken(user: User, patient: Patient, *, ago: timedelta = timedelta(0), words: str = WORDS) -> BreakGlass:
    """This person broke the glass to this patient so long ago."""
    start = now() - ago
    relation = CareRelation.objects.create(
        patient=patient, user=user, kind=EMERGENCY, reason="a reason", starts_at=start, ends_at=start + OPEN_FOR, added_by=str(user.pk)
    )
    row = BreakGlass(
        patient=patient, user=user, relation=relation, reason_code="danger", started_at=start, review_by=start + REVIEWED_WITHIN
    )
    row.reason = words
    row.save(force_insert=True)
    return row


def asked_for(user: User, site: Site, wanted: str, *, scope: str = "patient", days: int = 3) -> AccessRequest:
    """This person asked for access for so many days."""
    return ask_access(
        site_id=str(site.pk), scope=scope, wanted=wanted, purpose="research" if scope == "project" else "consult",
        reason="asked by the ward for an opinion", ends_at=now() + timedelta(days=days), by=actor_for_user(user),
    )  # fmt: skip
