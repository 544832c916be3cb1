"""Reading people and roles. One query per actor."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from salus_web.accounts.actors import Actor
from salus_web.accounts.models import RoleGrant
from salus_web.common.clock import now


def actor_for_user(user: Any) -> Actor:
    """The actor a signed-in person is at this moment, with the roles that hold now (1 query)."""
    moment = now()
    grants = RoleGrant.objects.filter(Q(ends_at__isnull=True) | Q(ends_at__gt=moment), user=user, starts_at__lte=moment)
    pairs = list(grants.values_list("role", "site_id"))
    return Actor(
        id=str(user.pk),
        name=user.display_name,
        roles=frozenset(role for role, _ in pairs),
        site_ids=frozenset(str(site) for _, site in pairs),
    )
