"""The second factor is demanded at every address but those named here, by one middleware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from salus_web.accounts.proofs import factor_is_demanded, has_shown_factor

# Addresses by name that need no factor: the way in, the way out, and whether the house stands.
EXEMPT = frozenset({
    "account_login", "account_logout", "mfa_authenticate", "mfa_login_webauthn", "openid_connect_login", "openid_connect_callback",
    "invitation", "healthy", "account_reauthenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn",
})  # fmt: skip
# Setting one up: only for a person who has none, or a stolen password would be enough to add a thief's own.
SETTING_UP = frozenset({"factor-setup", "mfa_activate_totp", "mfa_add_webauthn"})
# in a session without a person: a form of theirs came too late
UNSENT = "salus_unsent"


def has_factor(user: Any) -> bool:
    """Whether this person has a second factor (1 query). Recovery codes alone are none."""
    return Authenticator.objects.filter(user_id=user.pk).exclude(type=Authenticator.Type.RECOVERY_CODES).exists()


class FactorDemand:
    """Who is signed in without having shown a second factor gets to set one up or to show it, and nothing else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """Before the view runs, once it is known which."""
        name = request.resolver_match.url_name if request.resolver_match else ""
        if not request.user.is_authenticated or name in EXEMPT or not factor_is_demanded() or has_shown_factor(request):
            return None
        if has_factor(request.user):
            return away(request, "/again/code/")
        return None if name in SETTING_UP else away(request, "/account/second-factor/")


def away(request: HttpRequest, address: str) -> HttpResponse:
    """To another page; a fragment of a page tells the page to go there."""
    if "HX-Request" in request.headers:
        return HttpResponse(status=401, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def page_of_form(request: HttpRequest) -> str:
    """The page a form stands on: where its view says so that one, else the one it was sent from, where that is one of ours."""
    match = request.resolver_match
    declared = getattr(match.func, "declaration", None) if match else None
    if match and declared is not None and declared.form_on:
        return declared.form_on.format(**match.kwargs)
    sent_from = request.headers.get("HX-Current-URL") or request.META.get("HTTP_REFERER", "")
    return sent_from if url_has_allowed_host_and_scheme(sent_from, allowed_hosts={request.get_host()}) else "/"


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the door, and from there back to the page one sat at; a fragment's own address is no page, nor is a form's. What a form
    held is not kept, and that is said at the door and behind it."""
    if request.method == "GET" and "HX-Request" not in request.headers:
        sat_at = request.path
    else:
        sat_at = urlparse(page_of_form(request)).path
    if request.method != "GET":
        request.session[UNSENT] = True
    return away(request, f"/login/?{urlencode({'next': sat_at or '/'})}")
