"""Whether two people may be the two of a rule that asks for two: nobody is their own second person under another name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q

from salus_web.accounts.models import Invitation, RoleGrant
from salus_web.audit.selectors import who_did
from salus_web.common.clock import now
from salus_web.common.errors import Refused

SET_UP_WITHIN = timedelta(days=30)
NOT_TWO = (
    f"The second person must be somebody whose account you did not set up yourself in the last {SET_UP_WITHIN.days} days. It is the "
    "same where they set up yours, or where one person set up both. Please ask somebody else."
)


def check_two_people(*, one: str, other: str) -> None:
    """Raise Refused unless these two, by id, may be the two of such a rule."""
    if not may_be_two(one=one, other=other):
        raise Refused(NOT_TWO)


def may_be_two(*, one: str, other: str) -> bool:
    """Whether nobody had both accounts in hand within the last 30 days: not the one the other's, and no third person both; in
    one step or in several, as whoever makes one account up can make up two (3 queries per step, for each of them)."""
    since = now() - SET_UP_WITHIN
    return not _hands(one, since) & _hands(other, since)


def _hands(person: str, since: datetime) -> set[str]:
    """A person, who set up their account since a moment, who set up theirs, and so on."""
    found = new = {person}
    while new:
        new = _set_up_by(new, since) - found
        found = found | new
    return found


def _set_up_by(people: Iterable[str], since: datetime) -> set[str]:
    """Who made one of these accounts, gave it a role that is still held, or handed out a link to its password. The machine is
    nobody: what is done at the command line is done by whoever could change every row."""
    keys = [key for key in people if _is_person(key)]
    if not keys:
        return set()
    still = Q(ends_at__isnull=True) | Q(ends_at__gt=now())
    roles = RoleGrant.objects.filter(still, user_id__in=keys, starts_at__gte=since).values_list("granted_by", flat=True)
    links = Invitation.objects.filter(user_id__in=keys, made_at__gte=since).values_list("made_by", flat=True)
    return {by for by in (*roles, *links, *who_did(action="user.create", object_ids=keys, since=since)) if _is_person(by)}


def _is_person(actor_id: str) -> bool:
    try:
        UUID(actor_id)
    except ValueError:
        return False
    return True
