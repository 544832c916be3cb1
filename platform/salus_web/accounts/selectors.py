"""Reading people and roles. One query per actor."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Prefetch, Q

from salus_web.accounts.actors import Actor, system
from salus_web.accounts.models import Invitation, RoleGrant, SignIn, Site, User
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.places import site_ids_for, where_allowed
from salus_web.accounts.standing import may_sign_in
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, Refused


def actor_for_user(user: Any) -> Actor:
    """The actor a signed-in person is at this moment, with the roles that hold now (1 query)."""
    moment = now()
    grants = RoleGrant.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment), user=user, starts_at__lte=moment)
    pairs = list(grants.values_list("role", "site_id"))
    return Actor(
        id=str(user.pk),
        name=user.display_name,
        roles_at=frozenset((role, str(site)) for role, site in pairs),
    )


def actor_by_id(actor_id: str) -> Actor:
    """Whoever has this id, with the rights that hold now: a part of the machine, or a person. Who may not sign in any more, and
    who is nobody here, has none (2 queries for a person)."""
    if actor_id.startswith("system:"):
        return system(actor_id.removeprefix("system:"))
    try:
        user = User.objects.filter(pk=UUID(actor_id)).first()
    except ValueError:
        user = None
    if user is None:
        return Actor(id=actor_id, name="somebody not known here")
    return actor_for_user(user) if may_sign_in(user) else Actor(id=actor_id, name=user.display_name)


PEOPLE_PAGE = 25
_WORDS_AT_MOST = 6
_ALIKE_AT_MOST = 10
ALSO_ELSEWHERE = (
    "This person also holds a role at a hospital that you do not administer. Only an administrator of every hospital where "
    "they hold one can change the account; you can give and end roles at your own."
)


def people(*, viewer: Actor, text: str = "", page: int = 1) -> list[User]:
    """A page of the people the viewer may open, by name, one more than a page so that the caller knows of a next; each with
    the roles that hold now, as `live_grants`, and `in_reach` (2 queries). Every word of `text` stands in the name or in the
    sign-in name. A whole sign-in name also finds somebody of another hospital, so that a role here can be given to them."""
    authorize(viewer, "access.read", Resource("user"))
    start = (max(page, 1) - 1) * PEOPLE_PAGE
    named = Q(in_reach=True)
    for word in text.split()[:_WORDS_AT_MOST]:
        named &= Q(display_name__icontains=word) | Q(username__icontains=word)
    rows = User.objects.annotate(in_reach=ExpressionWrapper(_in_reach(viewer), BooleanField())).prefetch_related(_live_grants())
    found = rows.filter(named | Q(username__iexact=text.strip())) if text.strip() else rows.filter(named)
    return list(found.order_by("display_name", "pk")[start : start + PEOPLE_PAGE + 1])


def _in_reach(viewer: Actor) -> Q:
    """Of one of the viewer's hospitals, or with no role anywhere: as `person_for`."""
    held = RoleGrant.objects.filter(user=OuterRef("pk"))
    return Q(Exists(held.filter(where_allowed(viewer, "access.read")))) | ~Q(Exists(held))


def _live_grants() -> Prefetch[str, Any, str]:
    live = RoleGrant.objects.select_related("site").filter(Q(ends_at__isnull=True) | Q(ends_at__gt=now()))
    return Prefetch("grants", queryset=live.order_by("role", "site__name"), to_attr="live_grants")


def person_named(*, text: str) -> User | None:
    """Whoever has this id or this whole sign-in name, None for nobody; capital letters count only where two names differ in
    nothing else (1 query)."""
    text = text.strip()
    try:
        named = Q(pk=UUID(text))
    except ValueError:
        named = Q(username__iexact=text)
    found = list(User.objects.filter(named).order_by("username")[:_ALIKE_AT_MOST])
    return found[0] if len(found) == 1 else next((user for user in found if user.username == text), None)


def sites_for(*, viewer: Actor, action: str) -> list[Site]:
    """The hospitals at which this person may do this (1 query)."""
    return list(Site.objects.filter(pk__in=site_ids_for(viewer, action)).order_by("name"))


def sites_as(*, viewer: Actor, roles: Collection[str]) -> list[Site]:
    """The hospitals at which this person holds one of these roles now (1 query)."""
    moment = now()
    live = RoleGrant.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment), user_id=viewer.id, starts_at__lte=moment)
    return list(Site.objects.filter(pk__in=live.filter(role__in=list(roles)).values("site_id")).order_by("name"))


def live_sessions(*, user: Any) -> list[SignIn]:
    """A person's sessions that are not over, newest first (1 query)."""
    since, begun = now() - timedelta(seconds=settings.SALUS_IDLE_SECONDS), now() - timedelta(seconds=settings.SALUS_SESSION_SECONDS)
    rows = SignIn.objects.filter(user=user, ended_at__isnull=True, last_seen_at__gt=since, started_at__gt=begun)
    return list(rows.order_by("-last_seen_at"))


def person_for(*, viewer: Actor, user_id: Any, action: str = "access.read") -> User:
    """A person of one of the hospitals where the viewer may do this, or one who holds no role anywhere, with `live_grants`
    (3 queries). Raises Hidden for anybody else."""
    authorize(viewer, action, Resource("user", str(user_id)))
    found = User.objects.prefetch_related(_live_grants()).filter(pk=user_id).first()
    sites = set(RoleGrant.objects.filter(user_id=user_id).values_list("site_id", flat=True)) if found else set()
    if found is None or (sites and not {str(site) for site in sites} & site_ids_for(viewer, action)):
        raise Hidden("There is no such page.")
    return found


def person_to_change(*, viewer: Actor, user_id: Any) -> User:
    """As `person_for`, for what concerns the whole account: link, last day, sessions, second factors, programs (3 queries).
    Raises Refused where the person also holds a role at a hospital that the viewer does not administer: who may have a new
    password made could come in as them there."""
    found = person_for(viewer=viewer, user_id=user_id, action="access.manage")
    if not holds_whole(viewer=viewer, user=found):
        raise Refused(ALSO_ELSEWHERE)
    return found


def holds_whole(*, viewer: Actor, user: Any) -> bool:
    """Whether the viewer administers every hospital at which a person, as `person_for` gives them, holds a role."""
    return {str(grant.site_id) for grant in user.live_grants} <= site_ids_for(viewer, "access.manage")


def open_invitation(*, user: Any) -> Invitation | None:
    """The link a person may still use, if there is one (1 query)."""
    return Invitation.objects.filter(user=user, used_at__isnull=True, expires_at__gt=now()).first()
