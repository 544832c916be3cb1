"""What happens around every request: headers, who is acting, and refusals in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from salus_web.accounts.access import NO_STORE
from salus_web.accounts.actors import ANONYMOUS
from salus_web.accounts.addresses import client_address
from salus_web.accounts.demand import page_of_form, to_sign_in
from salus_web.accounts.selectors import actor_for_user
from salus_web.accounts.tokens import bearer
from salus_web.common import wall
from salus_web.common.errors import (
    BadInput,
    Hidden,
    LogNotWritten,
    NoRoom,
    Refused,
    ScopeMissing,
    StateConflict,
    Withheld,
)
from salus_web.common.ids import new_id
from salus_web.common.keyring import KeyGone
from salus_web.common.plain_pages import plain_page

API = "/api/"
Respond = Callable[[HttpRequest], HttpResponse]
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; script-src 'self'; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class SecurityHeaders:
    """Strict content policy on every answer, and none of them kept by a browser, refusals included."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        # a document we wrote ourselves may bring a policy of its own, which names its style and script by digest
        response.headers["Content-Security-Policy"] = getattr(response, "own_policy", "") or CONTENT_SECURITY_POLICY
        response.headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", NO_STORE)
        return response


class CurrentActor:
    """Puts `request.user` and `request.actor` in place, and tells the database who asks."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(API):  # programs show a token; a browser's session opens nothing there
            request.user, actor = AnonymousUser(), bearer(request) or ANONYMOUS
        else:
            request.user = get_user(request)
            actor = actor_for_user(request.user) if request.user.is_authenticated else ANONYMOUS
        session = actor.session or (request.session.session_key or "")[:8]
        request.actor = replace(  # type: ignore[attr-defined]
            actor, request=str(new_id()), session=session, address=client_address(request)
        )
        with wall.asked_by(actor.id):
            return self.get_response(request)


class PlainRefusals:
    """Turns the platform's own errors into pages. Hidden answers the same bytes as an absent page."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """The NUL character is in no name, number or word, and PostgreSQL cannot hold it: refused for every page at once."""
        values = [value for form in (request.GET, request.POST) for _, found in form.lists() for value in found]
        if any("\x00" in value for value in values):
            return render(request, "refused.html", {"reason": "What came in holds a character that no word has."}, status=400)
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """One answer for each kind of refusal; anything else stays an error."""
        if isinstance(error, Hidden):
            return render(request, "404.html", status=404)
        if isinstance(error, Refused):
            if request.actor.is_anonymous:  # type: ignore[attr-defined]
                return to_sign_in(request)
            return render(request, "refused.html", {"reason": str(error)}, status=403)
        if isinstance(error, Withheld | KeyGone):
            state = error.state if isinstance(error, Withheld) else "erased"
            patient = (request.resolver_match.kwargs if request.resolver_match else {}).get("patient_id")
            return render(request, "withheld.html", {"state": state, "reason": str(error), "patient_id": patient})
        if isinstance(error, LogNotWritten):
            return plain_page(request, 503, reason=str(error))
        if isinstance(error, NoRoom):
            return plain_page(request, 507, reason=str(error))
        if isinstance(error, StateConflict | BadInput):
            back = page_of_form(request) if request.method == "POST" else ""
            return render(request, "refused.html", {"reason": str(error), "back": back}, status=409)
        if isinstance(error, ScopeMissing):
            return render(request, "refused.html", {"reason": "This page asked for data without saying for whom."}, status=500)
        return None
