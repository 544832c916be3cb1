"""May this person sign in at all? The one rule for browsers, directories, passkeys and programs."""

from __future__ import annotations

from typing import Any

from allauth.account.auth_backends import AuthenticationBackend
from django.db.models import Q

from salus_web.common.clock import now


def may_sign_in(user: Any) -> bool:
    """Neither sent away nor past the last day."""
    return bool(user.is_active) and (user.expires_at is None or user.expires_at > now())


def standing(prefix: str = "") -> Q:
    """The same rule for a query."""
    still = Q(**{f"{prefix}expires_at__isnull": True}) | Q(**{f"{prefix}expires_at__gt": now()})
    return Q(**{f"{prefix}is_active": True}) & still


class PeopleBackend(AuthenticationBackend):
    """Passwords. Django asks it at each request too, so that a session ends with its person."""

    def user_can_authenticate(self, user: Any) -> bool:
        """The one rule."""
        return may_sign_in(user)
