"""A hospital's server. Everything secret comes from the environment or from files it names; a missing,
default or short key stops the start with a sentence."""

from __future__ import annotations

import json
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from salus_web.config.settings.base import *  # noqa: F403
from salus_web.config.settings.base import STORAGES


def _secret(name: str, *, at_least: int) -> str:
    """A secret from NAME or from the file NAME_FILE; refuses absent, short and default values."""
    value = os.environ.get(name, "")
    if not value and os.environ.get(f"{name}_FILE"):
        value = Path(os.environ[f"{name}_FILE"]).read_text().strip()
    if not value:
        raise ImproperlyConfigured(f"{name} (or {name}_FILE) is not set. Production does not start without it.")
    if len(value) < at_least or "change" in value.lower() or len(set(value)) < 8:
        raise ImproperlyConfigured(f"{name} is a default or too short (at least {at_least} random characters).")
    return value


if os.environ.get("DEBUG", "").lower() in {"1", "true", "yes"}:
    raise ImproperlyConfigured("DEBUG is set. Production does not start with DEBUG.")
for _needed in ("DATABASE_URL", "REDIS_URL", "SALUS_HOSTS"):
    if not os.environ.get(_needed):
        raise ImproperlyConfigured(f"{_needed} is not set. Production does not start without it.")

SECRET_KEY = _secret("SECRET_KEY", at_least=50)
SALUS_INDEX_KEY = _secret("SALUS_INDEX_KEY", at_least=64)
SALUS_DATA_KEYS = json.loads(_secret("SALUS_DATA_KEYS", at_least=64))
SALUS_CURRENT_DATA_KEY = os.environ.get("SALUS_CURRENT_DATA_KEY", "")
if SALUS_CURRENT_DATA_KEY not in SALUS_DATA_KEYS:
    raise ImproperlyConfigured("SALUS_CURRENT_DATA_KEY does not name one of SALUS_DATA_KEYS.")

if os.environ.get("SALUS_OBJECT_STORE_URL"):
    STORAGES = STORAGES | {
        "vault": {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {
                "endpoint_url": os.environ["SALUS_OBJECT_STORE_URL"],
                "bucket_name": os.environ.get("SALUS_OBJECT_STORE_BUCKET", "salus-vault"),
                "access_key": _secret("SALUS_OBJECT_STORE_ACCESS_KEY", at_least=8),
                "secret_key": _secret("SALUS_OBJECT_STORE_SECRET_KEY", at_least=16),
                "file_overwrite": False,
                "querystring_auth": True,
            },
        }
    }

ALLOWED_HOSTS = os.environ["SALUS_HOSTS"].split(",")
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
