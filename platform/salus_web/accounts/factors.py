"""A person's own second factors: an authenticator app, keys and passkeys, recovery codes. And showing one again."""

from __future__ import annotations

from typing import Any

from allauth.account.views import ReauthenticateView
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.views import ReauthenticateView as CodeAgainView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, ReauthenticateWebAuthnView, RemoveWebAuthnView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.views.decorators.http import require_GET, require_http_methods

from salus_web.accounts import proofs
from salus_web.accounts.access import declare
from salus_web.accounts.lockout import TooManyTries, spend_once
from salus_web.audit.services import Act, record
from salus_web.common.errors import StateConflict

HOME = reverse_lazy("mfa_index")
WRONG = "That was not right. Please try again."


def _log(request: HttpRequest, action: str, kind: str, outcome: str = "done") -> None:
    actor = request.actor  # type: ignore[attr-defined]
    record(Act(action, "user", actor.id, outcome=outcome, detail={"kind": kind}), by=actor)


@declare("self.read")
@require_GET
def set_up(request: HttpRequest) -> HttpResponse:
    """What to choose from, for a person who has no second factor yet."""
    return render(request, "accounts/set_up.html")


class AddApp(ActivateTOTPView):
    """An authenticator app: a picture to scan and a first code."""

    template_name = "accounts/app.html"

    def form_valid(self, form: Any) -> HttpResponse:
        """Kept and logged together. The code is spent by it, so that whoever saw it signs in with it nowhere else."""
        with transaction.atomic():
            if not spend_once(self.request.user.pk, form.cleaned_data["code"]):
                form.add_error("code", get_adapter().validation_error("incorrect_code"))
                return self.form_invalid(form)
            _log(self.request, "factor.add", "totp")
            answer = super().form_valid(form)
        proofs.shown_now(self.request, kind="totp")
        return answer


class AddKey(AddWebAuthnView):
    """A security key, or a passkey of this device."""

    template_name = "accounts/key.html"

    def form_valid(self, form: Any) -> HttpResponse:
        """Kept and logged together."""
        with transaction.atomic():
            _log(self.request, "factor.add", "webauthn")
            answer = super().form_valid(form)
        proofs.shown_now(self.request, kind="webauthn")
        return answer

    def get_success_url(self) -> str:
        """Recovery codes first, where they were just made."""
        return str(reverse_lazy("mfa_view_recovery_codes") if self.did_generate_recovery_codes else HOME)


def _check_not_last(user: Any) -> None:
    """Raise StateConflict for the only factor of a person who must have one."""
    held = Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.RECOVERY_CODES).count()
    if held < 2 and proofs.factor_is_demanded():
        raise StateConflict("This is your only second factor. Add another one first, then remove this one.")


class RemoveApp(DeactivateTOTPView):
    """No more codes of this app."""

    template_name = "accounts/remove.html"
    success_url = HOME

    def form_valid(self, form: Any) -> HttpResponse:
        """Removed and logged together."""
        with transaction.atomic():
            _check_not_last(self.request.user)
            _log(self.request, "factor.remove", "totp")
            return super().form_valid(form)


class RemoveKey(RemoveWebAuthnView):
    """This key opens no more."""

    template_name = "accounts/remove.html"
    success_url = HOME

    def form_valid(self, form: Any) -> HttpResponse:
        """Removed and logged together."""
        with transaction.atomic():
            _check_not_last(self.request.user)
            _log(self.request, "factor.remove", "webauthn")
            return super().form_valid(form)


class Codes(ViewRecoveryCodesView):
    """The recovery codes, shown once."""

    template_name = "accounts/codes.html"

    def get_context_data(self, **options: Any) -> dict[str, Any]:
        """Whoever has looked at them is on the log."""
        found = super().get_context_data(**options)
        if found["can_view_codes"]:
            _log(self.request, "factor.codes.read", "recovery_codes")
        return found


class NewCodes(GenerateRecoveryCodesView):
    """New recovery codes; the old ones are worth nothing from then on."""

    template_name = "accounts/new_codes.html"

    def form_valid(self, form: Any) -> HttpResponse:
        """Made and logged together."""
        with transaction.atomic():
            _log(self.request, "factor.codes.new", "recovery_codes")
            return super().form_valid(form)


class _Again:
    """Showing who one is in the middle of a session; each try is on the log."""

    request: HttpRequest
    kind = ""

    def dispatch(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        """Too many wrong tries end in a sentence."""
        try:
            return super().dispatch(request, *args, **options)  # type: ignore[misc]
        except TooManyTries as refused:
            return render(request, "refused.html", {"reason": str(refused)}, status=429)

    def form_valid(self, form: Any) -> HttpResponse:
        """Back to where one was asked."""
        _log(self.request, "session.again", self.kind)
        return super().form_valid(form)  # type: ignore[misc]

    def form_invalid(self, form: Any) -> HttpResponse:
        """Asked again."""
        _log(self.request, "session.again", self.kind, "refused")
        return self.render_to_response(self.get_context_data(form=form, problem=WRONG), status=401)  # type: ignore[attr-defined]


class PasswordAgain(_Again, ReauthenticateView):
    """The password again."""

    template_name = "accounts/again.html"
    kind = "password"


class CodeAgain(_Again, CodeAgainView):
    """A code again."""

    template_name = "accounts/again.html"
    kind = "code"


class KeyAgain(_Again, ReauthenticateWebAuthnView):
    """A key again."""

    template_name = "accounts/again_key.html"
    kind = "webauthn"


def _own(view: Any) -> Any:
    return declare("self.read")(require_http_methods(["GET", "POST"])(view))


add_app, remove_app = _own(AddApp.as_view()), _own(RemoveApp.as_view())
add_key, remove_key = _own(AddKey.as_view()), _own(RemoveKey.as_view())
codes = declare("self.read")(require_GET(Codes.as_view()))
new_codes = _own(NewCodes.as_view())
password_again, code_again, key_again = (_own(view.as_view()) for view in (PasswordAgain, CodeAgain, KeyAgain))
