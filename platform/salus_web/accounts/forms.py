"""Forms of the sign-in: the library's own, with our counting of tries and codes that are good once."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import LoginForm
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator

from salus_web.accounts import lockout
from salus_web.accounts.actors import system
from salus_web.audit.services import Act, record
from salus_web.common.errors import IntegrityBroken


class SignInForm(LoginForm):
    """Name and password."""

    def add_prefix(self, field_name: str) -> str:
        """The page has always called the name `username`."""
        return "username" if field_name == "login" else super().add_prefix(field_name)


class _CountedCode:
    """Counts tries of a code before it is checked, and takes each code of an authenticator app once."""

    user: Any
    authenticator: Any

    def clean_code(self) -> str:
        """The code, or a refusal."""
        limit = lockout.limit_of_codes(self.user.pk)
        lockout.take([limit])
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except IntegrityBroken:  # the secret's key is gone, such as after an older file of keys was put back
            record(Act("factor.unreadable", "user", str(self.user.pk), outcome="refused"), by=system("sign-in"))
            raise get_adapter().validation_error("incorrect_code") from None
        if self.authenticator.type == Authenticator.Type.TOTP and not lockout.spend_once(self.user.pk, code.strip()):
            raise get_adapter().validation_error("incorrect_code")
        lockout.forgive([limit])
        return code


class CodeForm(_CountedCode, AuthenticateForm):
    """A code at the sign-in."""


class CodeAgainForm(_CountedCode, ReauthenticateForm):
    """A code in the middle of a session."""
