"""Settings of the sign-in: the limits, and how the library (django-allauth) is set. Read by base.py."""

from __future__ import annotations

import os

# "required": a second factor is demanded at every address. "demo" relaxes it; production refuses to start with it.
SALUS_MFA = "required"
SALUS_FRESH_SECONDS = 600  # exports, access and keys ask again for who one is after this long
SALUS_IDLE_SECONDS = 15 * 60
SALUS_SESSION_SECONDS = 12 * 3600
SALUS_TRIES_PER_PERSON = 5
# raise it where a whole hospital comes from one address
SALUS_TRIES_PER_ADDRESS = int(os.environ.get("SALUS_TRIES_PER_ADDRESS") or 5)
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

SALUS_OIDC_NAME = ""
