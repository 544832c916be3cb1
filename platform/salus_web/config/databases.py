"""Reads DATABASE_URL into Django's form. SQLite is set so that no acknowledged write is lost."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

_SQLITE_START = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"


def database_from_url(url: str, data_dir: Path) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name`, or empty for SQLite in the data folder."""
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": data_dir / "salus.sqlite3",
            "OPTIONS": {"init_command": _SQLITE_START, "transaction_mode": "IMMEDIATE", "timeout": 30},
            "CONN_MAX_AGE": 60,  # opening the file and saying the above at each request is a tenth of a small page
        }
    parts = urlparse(url)
    password = unquote(parts.password or "")
    if not password and os.environ.get("DATABASE_PASSWORD_FILE"):
        password = Path(os.environ["DATABASE_PASSWORD_FILE"]).read_text().strip()
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("DATABASE_URL must start with postgresql:// (or be left empty for SQLite).")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": password,
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        # after a restart of the server nobody is handed a connection that died with it
        "CONN_HEALTH_CHECKS": True,
        # the policies of the wall look dear to the planner, and compiling a page's query takes a hundred times as long as running it
        # statements are compiled once per connection only where a cursor asks for it: the log's
        "OPTIONS": {"options": "-c jit=off", "prepare_threshold": sys.maxsize},
    }
