"""How an address for programs is declared: a token instead of a session, JSON instead of pages, the same function decides."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from salus_web.accounts.access import NO_STORE, Declaration
from salus_web.accounts.permissions import Resource, authorize
from salus_web.accounts.tokens import PURPOSES
from salus_web.audit.services import Act, record
from salus_web.common.errors import BadInput, Hidden, LogNotWritten, Refused, SalusError, StateConflict

STATUS: tuple[tuple[type[SalusError], int], ...] = (
    (Hidden, 404), (Refused, 403), (BadInput, 400), (StateConflict, 409), (LogNotWritten, 503),
)  # fmt: skip
READS = ("GET", "HEAD")
SHOW_ONE = "Show a token that is good now: Authorization: Bearer salus_…"


def declare_api(
    action: str, *, purpose: str, audit: str, shows_patient: bool = False
) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., HttpResponse]]:
    """Declare an address for programs, which is read only. The view returns what becomes JSON; it is on the log before it runs."""
    if action not in PURPOSES[purpose]:
        raise ValueError(f"Tokens for {purpose} are not made for {action}.")

    def wrap(view: Callable[..., dict[str, Any]]) -> Callable[..., HttpResponse]:
        @csrf_exempt  # a token is no cookie that another site's form could ride on
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
            if request.method not in READS:
                return _answer(405, {"problem": "Nothing is written through this address."}, {"Allow": ", ".join(READS)})
            try:
                return _answer(200, _checked(request, view, *args, **options))
            except _NoToken:
                return _answer(401, {"problem": SHOW_ONE}, {"WWW-Authenticate": "Bearer"})
            except SalusError as problem:
                status = next((status for kind, status in STATUS if isinstance(problem, kind)), 500)
                return _answer(status, {"problem": str(problem)})

        def _checked(request: HttpRequest, view: Callable[..., dict[str, Any]], *args: Any, **options: Any) -> dict[str, Any]:
            actor = request.actor  # type: ignore[attr-defined]
            if actor.is_anonymous or not actor.token_purpose:
                raise _NoToken
            if actor.token_purpose != purpose:
                record(Act(audit, "page", request.path[:80], outcome="refused", purpose=actor.token_purpose), by=actor)
                raise Refused(f"This token is for {actor.token_purpose}; this address is for {purpose}.")
            try:
                authorize(actor, action, Resource(kind="page"))
            except Refused:
                record(Act(audit, "page", request.path[:80], outcome="refused", purpose=purpose), by=actor)
                raise
            record(Act(audit, "page", request.path[:80], purpose=purpose), by=actor)
            return view(request, *args, **options)

        guarded.declaration = Declaration(action, audit, shows_patient, by_token=True)  # type: ignore[attr-defined]
        return guarded

    return wrap


class _NoToken(Exception):
    """No token, or one that opens nothing."""


def _answer(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> JsonResponse:
    always = {"Cache-Control": NO_STORE, "X-Content-Type-Options": "nosniff"}
    return JsonResponse(body, status=status, headers=always | (headers or {}))
