"""How the sign-in library behaves here: nobody signs up, tries are counted, sign-ins are logged, secrets are sealed."""

from __future__ import annotations

from base64 import b85decode, b85encode
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.stagekit import clear_login
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from django.contrib import messages
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from salus_web.accounts import lockout, proofs, sessions
from salus_web.accounts.addresses import client_address
from salus_web.accounts.demand import UNSENT, has_factor
from salus_web.accounts.directory import note_vouched
from salus_web.accounts.selectors import actor_for_user
from salus_web.accounts.standing import may_sign_in
from salus_web.audit.services import Act, record
from salus_web.common.encryption import seal, unseal

# the key of all secrets of second factors: a constant owner, so that a change of the master keys carries it along
_OWNER = "factors:00000000-0000-7000-8000-000000000001"
CLOSED = "This account is not in use any more. Please ask your administrator."
_PLACE = "mfa_authenticator.secret"


class PeopleAdapter(DefaultAccountAdapter):
    """Passwords and sessions."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Administrators make people; nobody makes themselves."""
        return False

    def add_message(self, *args: Any, **options: Any) -> None:
        """Our pages say what happened."""

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """People here have no mail address."""

    def get_client_ip(self, request: HttpRequest) -> str:
        """The browser's, also behind our proxy."""
        return client_address(request)

    def is_reauthentication_required(self, *, app: str) -> bool:
        """Who has just signed in need not do it again to set up a factor."""
        return not proofs.is_fresh(context.request)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Where there is a second factor the password alone does not do."""
        methods = super().get_reauthentication_methods(user)
        return [one for one in methods if one["id"] != "reauthenticate"] if user.is_authenticated and has_factor(user) else methods

    def authenticate(self, request: HttpRequest, **credentials: Any) -> Any:
        """Count the try, then check. Raises TooManyTries before the password is looked at."""
        limits = lockout.limits_of_sign_in(name=credentials.get("username", ""), address=client_address(request))
        try:
            lockout.take(limits)
        except lockout.TooManyTries:
            record(Act("session.refused", outcome="refused", detail={"why": "too many tries"}), by=request.actor)  # type: ignore[attr-defined]
            raise
        user = authenticate(request, **credentials)
        if user is None:
            record(Act("session.refused", outcome="refused"), by=request.actor)  # type: ignore[attr-defined]
            return None
        lockout.forgive(limits)
        return user

    def pre_login(self, request: HttpRequest, user: Any, **options: Any) -> HttpResponse | None:
        """Whoever may not sign in is turned away here also when a passkey or a directory vouches for them."""
        return None if may_sign_in(user) else self._turned_away(request, user)

    def _turned_away(self, request: HttpRequest, user: Any) -> HttpResponse:
        clear_login(request)
        record(Act("session.refused", "user", str(user.pk), outcome="refused", detail={"why": "not a person any more"}), by=request.actor)  # type: ignore[attr-defined]
        return render(request, "accounts/login.html", {"problem": CLOSED, "next": ""}, status=401)

    def login(self, request: HttpRequest, user: Any) -> None:
        """Log first: a session that cannot be logged is not opened."""
        if not may_sign_in(user):  # the last day may end between the password and the code
            raise ImmediateHttpResponse(self._turned_away(request, user))
        note_vouched(request)
        is_unsent = request.session.pop(UNSENT, False)
        shown = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY) or []
        with transaction.atomic():
            record(Act("session.start", "user", str(user.pk), detail={"by": [row["method"] for row in shown]}), by=actor_for_user(user))
            super().login(request, user)
            sessions.begin_for(request, user)
        if is_unsent:
            messages.warning(request, "Your session was over when the form was sent. Nothing was stored; please send it again.")

    def logout(self, request: HttpRequest) -> None:
        """Also when the library ends a session, such as for one who comes back from the directory."""
        sessions.end_of(request)


class FactorAdapter(DefaultMFAAdapter):
    """Second factors."""

    def get_totp_issuer(self) -> str:
        """What an authenticator app calls this place."""
        return f"Salus {context.request.get_host()}"

    def encrypt(self, text: str) -> str:
        """Sealed with a key outside the database."""
        return b85encode(seal(text.encode(), bound_to=_PLACE, owner=_OWNER)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """What `encrypt` made."""
        return unseal(b85decode(encrypted_text), bound_to=_PLACE).decode()

    def send_notification_mail(self, *args: Any, **options: Any) -> None:
        """People here have no mail address."""
