"""Settings of the sign-in: the limits, and how the library (django-allauth) is set. Read by base.py."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from salus_web.common.key_sources import KeyTrouble, read_private

# "required": a second factor is demanded at every address. "demo" relaxes it; production refuses to start with it.
SALUS_MFA = "required"
SALUS_FRESH_SECONDS = 600  # exports, access and keys ask again for who one is after this long
SALUS_IDLE_SECONDS = 15 * 60
SALUS_SESSION_SECONDS = 12 * 3600
SALUS_TRIES_PER_PERSON = 5
# raise it where a whole hospital comes from one address
SALUS_TRIES_PER_ADDRESS = int(os.environ.get("SALUS_TRIES_PER_ADDRESS") or 5)
# requests a minute: of one person or program; from one address where nobody is signed in; 0: not counted
SALUS_REQUESTS_PER_PERSON = int(os.environ.get("SALUS_REQUESTS_PER_PERSON") or 600)
SALUS_REQUESTS_PER_ADDRESS = int(os.environ.get("SALUS_REQUESTS_PER_ADDRESS") or 300)
# of each web process's computing time, what one person or program who asks without a pause may take; 0: not counted
SALUS_SHARE_PER_PERSON = float(os.environ.get("SALUS_SHARE_PER_PERSON") or 0.02)
# how many wrong sign-ins a second each web process hears from one address, after five at once; 0: not counted
SALUS_WRONG_A_SECOND = 0.1
SALUS_PROXIES = 0  # how many proxies of our own stand before the web process

ACCOUNT_ADAPTER = "salus_web.accounts.adapters.PeopleAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_USER_MODEL_EMAIL_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_AUTHENTICATED_LOGIN_REDIRECTS = False
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = SALUS_FRESH_SECONDS
ACCOUNT_RATE_LIMITS = False  # they count in the memory of one process; accounts.lockout counts in the database
ACCOUNT_FORMS = {"login": "salus_web.accounts.forms.SignInForm"}

MFA_ADAPTER = "salus_web.accounts.adapters.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_TOLERANCE = 1  # half a minute of clock difference either way
MFA_FORMS = {"authenticate": "salus_web.accounts.forms.CodeForm", "reauthenticate": "salus_web.accounts.forms.CodeAgainForm"}

SOCIALACCOUNT_ADAPTER = "salus_web.accounts.directory.DirectoryAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False


def directory_from(environment: Mapping[str, str]) -> dict[str, Any]:
    """The hospital's directory as SALUS_OIDC_… describe it; none without SALUS_OIDC_URL. Raises ImproperlyConfigured for
    one that is half described or not reached over TLS."""
    address = environment.get("SALUS_OIDC_URL", "").rstrip("/")
    if not address:
        return {"SALUS_OIDC_NAME": "", "SOCIALACCOUNT_PROVIDERS": {}}
    if not address.startswith("https://"):
        raise ImproperlyConfigured("SALUS_OIDC_URL must start with https://.")
    return directory(
        address, client_id=_needed(environment, "SALUS_OIDC_CLIENT_ID"), secret=_needed(environment, "SALUS_OIDC_CLIENT_SECRET"),
        name=environment.get("SALUS_OIDC_NAME") or "the hospital's directory",
    )  # fmt: skip


def directory(address: str, *, client_id: str, secret: str, name: str) -> dict[str, Any]:
    """The settings of one OpenID Connect server."""
    app = {
        "provider_id": "hospital", "name": name, "client_id": client_id, "secret": secret,
        "settings": {"server_url": address, "oauth_pkce_enabled": True, "fetch_userinfo": False, "scope": ["openid", "profile"]},
    }  # fmt: skip
    return {"SALUS_OIDC_NAME": name, "SOCIALACCOUNT_PROVIDERS": {"openid_connect": {"APPS": [app]}}}


def _needed(environment: Mapping[str, str], name: str) -> str:
    """A value, or the content of the private file that NAME_FILE names."""
    value = environment.get(name, "")
    try:
        value = value or (read_private(Path(environment[f"{name}_FILE"])) if environment.get(f"{name}_FILE") else "")
    except KeyTrouble as trouble:
        raise ImproperlyConfigured(str(trouble)) from None
    if not value:
        raise ImproperlyConfigured(f"SALUS_OIDC_URL is set, and {name} is not.")
    return value


SALUS_OIDC_CLAIM = os.environ.get("SALUS_OIDC_CLAIM") or "preferred_username"
SALUS_OIDC_TRUSTS_FACTOR = os.environ.get("SALUS_OIDC_TRUSTS_FACTOR") == "yes"
_directory = directory_from(os.environ)
SALUS_OIDC_NAME = _directory["SALUS_OIDC_NAME"]
SOCIALACCOUNT_PROVIDERS = _directory["SOCIALACCOUNT_PROVIDERS"]
