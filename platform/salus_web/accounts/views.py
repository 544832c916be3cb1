"""The way in and out: password, second factor, passkey. What is set up once one is in lies in `factors`."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods, require_POST

from salus_web.accounts import sessions
from salus_web.accounts.access import declare
from salus_web.accounts.addresses import client_address
from salus_web.accounts.demand import UNSENT
from salus_web.accounts.lockout import TooManyTries
from salus_web.accounts.rates import too_many
from salus_web.accounts.shares import wrong_sign_ins
from salus_web.audit.services import Act, record

WRONG = "That name and password do not belong together."
WRONG_CODE = "This code was not right, or it was used before. Wait for the next one and try again."


class SignInPage(LoginView):
    """Name and password. A failed try is logged without the name that was typed."""

    template_name = "accounts/login.html"

    def post(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """Sign in, say that it was wrong, or that it was wrong too often or too fast: checking one costs as much as ten pages."""
        seconds, _ = wrong_sign_ins.seconds_to_wait(client_address(request), settings.SALUS_WRONG_A_SECOND)
        if seconds:
            return too_many(request, seconds, "Several sign-ins from this place were wrong.")
        try:
            return super().post(request, *args, **options)
        except TooManyTries as refused:
            return self._again(str(refused), 429)

    def form_valid(self, form: Any) -> HttpResponse:
        """Whoever was signed in at this browser is not any more."""
        if self.request.user.is_authenticated:
            sessions.end_of(self.request)
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        """One sentence for a wrong name, a wrong password and a person who was sent away."""
        wrong_sign_ins.take(client_address(self.request), 1, settings.SALUS_WRONG_A_SECOND)
        return self._again(WRONG, 401)

    def _again(self, problem: str, status: int) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=None, problem=problem), status=status)

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        """Where to go afterwards, and the hospital's directory where there is one."""
        found = super().get_context_data(**options)
        said = sessions.WORDS.get(self.request.session.pop(sessions.SAID, ""), "")
        return found | {"next": found["redirect_field_value"] or "", "directory": settings.SALUS_OIDC_NAME, "signed_out": said, "is_unsent": UNSENT in self.request.session}


class Second(AuthenticateView):
    """The second factor, after the password."""

    template_name = "accounts/second.html"

    def dispatch(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """As the library's; too many wrong codes end in a sentence."""
        try:
            return super().dispatch(request, *args, **options)
        except TooManyTries as refused:
            return render(request, "accounts/second.html", {"problem": str(refused), "locked": True}, status=429)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Logged, and asked again."""
        record(Act("factor.refused", "user", str(self.stage.login.user.pk), outcome="refused"), by=self.request.actor)  # type: ignore[attr-defined]
        answer = self.get(self.request)
        answer.status_code = 401
        return answer

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        """The sentence for a wrong one."""
        return super().get_context_data(**options) | {"problem": WRONG_CODE if self.request.method == "POST" else ""}


class Passkey(LoginWebAuthnView):
    """A passkey in place of name and password."""

    def form_invalid(self, form: Any) -> HttpResponse:
        """Logged, and back to the sign-in."""
        record(Act("session.refused", outcome="refused", detail={"by": ["passkey"]}), by=self.request.actor)  # type: ignore[attr-defined]
        return render(self.request, "accounts/login.html", {"problem": "This passkey is not known here.", "next": ""}, status=401)


@declare(None)
@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    sessions.end_of(request)
    return HttpResponseRedirect("/login/")


sign_in = declare(None)(require_http_methods(["GET", "POST"])(SignInPage.as_view()))
second = declare(None)(require_http_methods(["GET", "POST"])(Second.as_view()))
passkey = declare(None)(require_http_methods(["GET", "POST"])(Passkey.as_view()))
