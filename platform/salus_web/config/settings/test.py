"""Tests: fixed keys that open nothing real, fast password hashes, SQLite or the DATABASE_URL given."""

from __future__ import annotations

import tempfile
from pathlib import Path

from salus_web.config.settings.base import *  # noqa: F403
from salus_web.config.settings.base import DATABASES, STORAGES

SECRET_KEY = "only-for-tests-" + "x" * 40
SALUS_DATA_KEYS = {"t1": "11" * 32}
SALUS_CURRENT_DATA_KEY = "t1"
SALUS_INDEX_KEY = "22" * 32
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SALUS_DATA_DIR = Path(tempfile.mkdtemp(prefix="salus-test-"))
STORAGES = STORAGES | {
    "vault": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": SALUS_DATA_DIR / "vault", "base_url": None},
    }
}
SALUS_AUDIT_DIR = SALUS_DATA_DIR / "audit"
STATIC_ROOT = SALUS_DATA_DIR / "static"
STATIC_ROOT.mkdir()
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # a file: one connection in memory, shared by the threads of a test's server, waits for itself for ever (its lock and Python's)
    DATABASES["default"]["TEST"] = {"NAME": str(SALUS_DATA_DIR / "tests.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"  # a test's database need not outlive the machine
CELERY_BROKER_URL = "memory://"
SALUS_MFA = "demo"  # tests of the second factor set it back
SALUS_TRIES_PER_ADDRESS = 10_000  # all tests come from one address
SALUS_REQUESTS_PER_PERSON = SALUS_REQUESTS_PER_ADDRESS = SALUS_SHARE_PER_PERSON = SALUS_WRONG_A_SECOND = 0  # not counted, but in the tests of counting
