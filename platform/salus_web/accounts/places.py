"""Where somebody may do something: a role is held at a hospital, and what it allows there it allows nowhere else. The one way
from a person to their hospitals; each question names the action, so that no role lends its hospital to another."""

from __future__ import annotations

from typing import Any

from django.db.models import Q

from salus_web.accounts.actors import Actor
from salus_web.accounts.permissions import RULES


def site_ids_for(actor: Actor, action: str) -> frozenset[str]:
    """The ids of the hospitals at which this person holds a role that may do this. None for the machine, which has no
    hospital."""
    allowed = RULES[action]
    return frozenset(site for role, site in actor.roles_at if role in allowed)


def allowed_at(actor: Actor, action: str, site_id: Any) -> bool:
    """Whether this person may do this at one hospital, for `Resource.in_scope`."""
    return actor.is_system or str(site_id) in site_ids_for(actor, action)


def where_allowed(actor: Actor, action: str, path: str = "site_id") -> Q:
    """The condition that a row is of a hospital (`path`) at which this person may do this; every row for the machine."""
    return Q() if actor.is_system else Q(**{f"{path}__in": sorted(site_ids_for(actor, action))})
