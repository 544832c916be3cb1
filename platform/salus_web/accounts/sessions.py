"""Sessions: begun at a sign-in, ended by the person, an administrator, fifteen idle minutes or twelve hours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.sessions.backends.db import SessionStore
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from salus_web.accounts.actors import Actor
from salus_web.accounts.addresses import client_address
from salus_web.accounts.models import SignIn
from salus_web.accounts.selectors import actor_for_user
from salus_web.accounts.standing import may_sign_in
from salus_web.audit.services import Act, record
from salus_web.common.clock import now

KEY, SAID = "salus_sign_in", "salus_signed_out"
NOTED_EVERY = timedelta(seconds=60)
UNASKED = "HTTP_X_SALUS_UNASKED"  # a page that looks again by itself says so; nobody sits there for that
WORDS = {
    "idle": "You were signed out because nothing happened for a while.",
    "too long": "You were signed out because this session was as long as one may be.",
    "ended": "This session was ended, by you from another place or by an administrator.",
    "person": "You were signed out.",
}


def begin(session: Any, user: Any, *, address: str = "", browser: str = "") -> SignIn:
    """A row for a session that has just been opened; the session names it."""
    moment = now()
    row = SignIn.objects.create(user=user, started_at=moment, last_seen_at=moment, address=address[:64], browser=browser[:120])
    session[KEY] = str(row.pk)
    return row


def begin_for(request: HttpRequest, user: Any) -> SignIn:
    """The same, with where the request came from."""
    return begin(request.session, user, address=client_address(request), browser=request.META.get("HTTP_USER_AGENT", ""))


def why_over(row: SignIn | None, moment: datetime) -> str:
    """Why a session is over; empty while it is not. A session nobody began is over."""
    if row is None or row.ended_at is not None:
        return "ended"
    if not may_sign_in(row.user):
        return "person"
    if moment - row.started_at >= timedelta(seconds=settings.SALUS_SESSION_SECONDS):
        return "too long"
    return "idle" if moment - row.last_seen_at >= timedelta(seconds=settings.SALUS_IDLE_SECONDS) else ""


@transaction.atomic
def end(row: SignIn, *, why: str, by: Actor) -> None:
    """End a session now; the browser finds out with its next request."""
    if SignIn.objects.filter(pk=row.pk, ended_at__isnull=True).update(ended_at=now(), ended_why=why[:40]):
        detail = {"why": why, "session": str(row.pk)}
        record(Act("session.end", "user", str(row.user_id), detail=detail), by=by)


@transaction.atomic
def end_all(user: Any, *, why: str, by: Actor, but: str = "") -> int:
    """End every live session of a person, except one if it is named."""
    rows = [row for row in SignIn.objects.filter(user=user, ended_at__isnull=True) if str(row.pk) != but]
    for row in rows:
        end(row, why=why, by=by)
    return len(rows)


def end_of(request: HttpRequest) -> None:
    """End the session of this browser, by the person at it."""
    row = SignIn.objects.filter(pk=request.session.get(KEY)).first()
    if row is not None:
        end(row, why="person", by=request.actor)  # type: ignore[attr-defined]
    logout(request)


def forget_expired() -> None:
    """Let go of what browsers kept here until it ran out (what was searched for, a next page): nobody can come back to it. When who
    was signed in stays in `SignIn`."""
    SessionStore.clear_expired()


class SessionLimits:
    """Ends what is over before anybody is taken for the person of it. One query, and one write a minute at most."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if SESSION_KEY in request.session:
            self._check(request)
        return self.get_response(request)

    def _check(self, request: HttpRequest) -> None:
        known, moment = request.session.get(KEY), now()
        row = SignIn.objects.select_related("user").filter(pk=known).first() if known else None
        why = why_over(row, moment)
        if why:
            if row is not None and row.ended_at is None:
                end(row, why=why, by=actor_for_user(row.user))
            request.session.flush()
            request.session[SAID] = why  # in a new session, without a person, for the sign-in page to say
        elif row is not None and UNASKED not in request.META and moment - row.last_seen_at >= NOTED_EVERY:
            SignIn.objects.filter(pk=row.pk).update(last_seen_at=moment)
