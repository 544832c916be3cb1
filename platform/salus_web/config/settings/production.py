"""A hospital's server. Everything secret comes from the environment or from files it names; a missing,
default or short key stops the start with a sentence."""

from __future__ import annotations

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from salus_web.common.key_sources import KeyTrouble, key_source, read_private
from salus_web.config.keeping import silent_purposes
from salus_web.config.settings.base import *  # noqa: F403
from salus_web.config.settings.base import STORAGES


def _secret(name: str, *, at_least: int) -> str:
    """A secret from NAME or from the file NAME_FILE; refuses absent, short and default values."""
    value = os.environ.get(name, "")
    if not value and os.environ.get(f"{name}_FILE"):
        try:
            value = read_private(Path(os.environ[f"{name}_FILE"]))
        except KeyTrouble as trouble:
            raise ImproperlyConfigured(str(trouble)) from None
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
if os.environ.get("SALUS_MFA", "required") != "required":
    raise ImproperlyConfigured("SALUS_MFA relaxes the second factor. Production does not start with it relaxed.")

for _needed in ("SALUS_REQUESTS_PER_PERSON", "SALUS_REQUESTS_PER_ADDRESS"):
    if globals()[_needed] <= 0:
        raise ImproperlyConfigured(f"{_needed} is 0, so requests are not counted. Production does not start without a limit.")

SECRET_KEY = _secret("SECRET_KEY", at_least=50)
if os.environ.get("SALUS_DATA_KEYS") and os.environ.get("SALUS_DATA_KEYS_FILE"):
    raise ImproperlyConfigured("SALUS_DATA_KEYS and SALUS_DATA_KEYS_FILE are both set. Set one of them.")
try:
    SALUS_KEY_SOURCE = key_source(os.environ)
    _keys = SALUS_KEY_SOURCE.read()
except KeyTrouble as trouble:
    raise ImproperlyConfigured(str(trouble)) from None
SALUS_DATA_KEYS, SALUS_CURRENT_DATA_KEY = dict(_keys.keys), _keys.current
SALUS_INDEX_KEY = _keys.index_key or _secret("SALUS_INDEX_KEY", at_least=64)

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

# without a word of the hospital's own, nobody's silence is taken for a yes to research or training
SALUS_CONSENT_WHEN_SILENT = silent_purposes(os.environ.get("SALUS_CONSENT_WHEN_SILENT") or "care")
SALUS_PROXIES = int(os.environ.get("SALUS_PROXIES") or 1)  # the proxy that ends TLS
ALLOWED_HOSTS = [host.strip() for host in os.environ["SALUS_HOSTS"].split(",") if host.strip()]  # the proxy, which reads it too, asks for a space
CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
# the prefix makes browsers refuse these cookies from a neighbouring host, over a plain connection or for a part of the site
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
SECURE_SSL_REDIRECT = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
