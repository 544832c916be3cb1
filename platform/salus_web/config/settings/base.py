"""Settings every environment shares. Environments differ in local.py, test.py and production.py."""

from __future__ import annotations

import os
from pathlib import Path

from salus_web.common.key_sources import KeySource
from salus_web.config.databases import database_from_url
from salus_web.config.keeping import silent_purposes
from salus_web.config.sign_in import *  # noqa: F403
from salus_web.config.zone import zone_named

PROJECT_ROOT = Path(__file__).resolve().parents[4]
SALUS_DATA_DIR = Path(os.environ.get("SALUS_DATA_DIR", PROJECT_ROOT / "var"))

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "salus_web.config.urls"
WSGI_APPLICATION = "salus_web.config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "salus_web.audit",
    "salus_web.accounts",
    "salus_web.jobs",
    "salus_web.records",
    "salus_web.imaging",
    "salus_web.ingest",
    "salus_web.registry",
    "salus_web.predictions",
    "salus_web.cohorts",
    "salus_web.releases",
    "salus_web.stewardship",
    "salus_web.access",
    "salus_web.backups",
    "salus_web.dashboard",
]
MIDDLEWARE = [
    "salus_web.accounts.middleware.SecurityHeaders",  # first, so that no answer of any other goes without them
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "salus_web.accounts.rates.ShutOut",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "salus_web.accounts.sessions.SessionLimits",
    "salus_web.accounts.middleware.CurrentActor",
    "salus_web.accounts.rates.RateLimits",
    "salus_web.ingest.door.Door",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "salus_web.accounts.middleware.PlainRefusals",
    "salus_web.accounts.demand.FactorDemand",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.messages.context_processors.messages",
                "salus_web.dashboard.context.frame",
            ]
        },
    }
]
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["salus_web.accounts.standing.PeopleBackend"]
PASSWORD_HASHERS = ["salus_web.accounts.hashers.OneLane"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

STATIC_URL = "/static/"
STATIC_ROOT = SALUS_DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "vault": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": SALUS_DATA_DIR / "vault", "base_url": None},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
# files come in at one address only, where ingest.door seals them as they are read; nothing plain is spooled to a disk
FILE_UPLOAD_HANDLERS = ["salus_web.ingest.door.NoFiles"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_NUMBER_FILES = 200
CSRF_FAILURE_VIEW = "salus_web.dashboard.views.wrong.form_not_ours"

DATABASES = {"default": database_from_url(os.environ.get("DATABASE_URL", ""), SALUS_DATA_DIR)}

CELERY_BROKER_URL = os.environ.get("REDIS_URL", "")
SALUS_LEASE_SECONDS = 60
# checkpoints of the log: where they lie, the signer's key (empty: this process does not sign), and the witness, as HOST:PORT or folder:PATH
SALUS_AUDIT_DIR = Path(os.environ.get("SALUS_AUDIT_DIR") or SALUS_DATA_DIR / "audit")
SALUS_AUDIT_SIGNER_KEY_FILE = os.environ.get("SALUS_AUDIT_SIGNER_KEY_FILE", "")
SALUS_AUDIT_WITNESS = os.environ.get("SALUS_AUDIT_WITNESS", "")
SALUS_CERTIFICATE = os.environ.get("SALUS_CERTIFICATE", "")  # the site's certificate, for its age: a PEM file, or HOST:PORT that shows it
SALUS_UPLOAD_LIMIT_BYTES = 512 << 20
SALUS_RESERVE_BYTES = int(os.environ.get("SALUS_RESERVE_MB") or 200) << 20  # of the data's disk, kept for the log and for reading
SALUS_FORM_LIMIT_BYTES = 1 << 20
SALUS_SIMULATED = False
SALUS_ERASED_FILE = os.environ.get("SALUS_ERASED_FILE", "")  # who was erased, by id; empty: erased.jsonl beside the checkpoints
# what a patient who said nothing of a purpose is taken to allow: care, research, training; production allows care alone unless told
SALUS_CONSENT_WHEN_SILENT = silent_purposes(os.environ.get("SALUS_CONSENT_WHEN_SILENT") or "care,research,training")
SALUS_HOSPITAL_ZONE = zone_named(os.environ.get("SALUS_HOSPITAL_ZONE") or "UTC")  # when it is night there, and of films that say no offset; pages and the log are in UTC
SALUS_CODE_VERSION = "0.1.0"
SALUS_DATA_KEYS: dict[str, str] = {}
SALUS_CURRENT_DATA_KEY = ""
SALUS_INDEX_KEY = ""
SALUS_KEY_SOURCE: KeySource | None = None  # where the data keys are read from again while running; None: the three above
SALUS_BACKUP_KEY_FILE = os.environ.get("SALUS_BACKUP_KEY_FILE", "")  # the key of backups, which is not in them; see docs/administrator/backup.md
SALUS_BACKUP_DIR = os.environ.get("SALUS_BACKUP_DIR", "")  # where `keep_backups` puts one each night, at this hour (UTC)
SALUS_BACKUP_HOUR = int(os.environ.get("SALUS_BACKUP_HOUR") or 2)
SALUS_PERSON_KEYS_FILE = os.environ.get("SALUS_PERSON_KEYS_FILE", "")  # empty: person-keys.sqlite3 in the data folder

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # an exception's words may quote a patient, so no line holds them: see common.log_lines
    "formatters": {"plain": {"()": "salus_web.common.log_lines.PlainFacts"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    # Django's own would mail errors with the request in them, and print them a second time
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # it quotes the values that it finds odd
        "pydicom": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}
