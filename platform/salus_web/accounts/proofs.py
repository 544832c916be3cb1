"""What the person of a session has shown: a password, a second factor, the hospital's directory, and how long ago.
Reads the session only; the database is not asked."""

from __future__ import annotations

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.http import HttpRequest

from salus_web.common.clock import now

FACTOR, PASSWORD, DIRECTORY = "mfa", "password", "socialaccount"


def _records(request: HttpRequest) -> list[dict[str, Any]]:
    return get_authentication_records(request, request.user) if request.user.is_authenticated else []


def has_shown_factor(request: HttpRequest) -> bool:
    """A code, a key or a passkey in this session, or a directory that vouches for one of its own."""
    return any(row["method"] == FACTOR or row.get("second_factor") for row in _records(request))


def factor_is_demanded() -> bool:
    """Everywhere but in the demonstration."""
    return settings.SALUS_MFA != "demo"


def is_fresh(request: HttpRequest) -> bool:
    """Whether the person has shown who they are in the last ten minutes: with the second factor where one was used in this
    session (the demand sees to it that one is), else with what they signed in with, such as before they set one up."""
    rows = _records(request)
    if has_shown_factor(request):
        rows = [row for row in rows if row["method"] == FACTOR or row.get("second_factor")]
    newest = max((float(row["at"]) for row in rows), default=0.0)
    return 0 <= now().timestamp() - newest < settings.SALUS_FRESH_SECONDS


def shown_now(request: Any, *, kind: str) -> None:
    """A factor that was just set up has been shown by that."""
    record_authentication(request, request.user, FACTOR, type=kind)
