"""One laptop's settings without a second factor, for drills whose people are in already."""

from __future__ import annotations

from salus_web.config.settings.local import *  # noqa: F403

SALUS_MFA = "demo"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SALUS_SHARE_PER_PERSON = 0  # one person asks without a pause here
