"""A database of its own for measuring and for drills, gone afterwards: nothing of it touches the log of the installation."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse, urlunparse

import psycopg
from django.conf import settings
from psycopg import sql

LEFT_OUT = ("SALUS_AUDIT_DIR", "SALUS_AUDIT_SIGNER_KEY_FILE", "SALUS_AUDIT_WITNESS", "REDIS_URL")


@contextmanager
def scratch_database(*, migrated: bool = True) -> Iterator[dict[str, str]]:
    """The environment of a process that works on an empty database with the log's tables, or without any: SQLite in a temporary folder, or a new
    database on the server of DATABASE_URL when that is set."""
    around = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    with tempfile.TemporaryDirectory(prefix="salus-scratch-") as folder, _url() as url:
        environment = around | {
            "SALUS_DATA_DIR": folder, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "salus_web.config.settings.local",
        }  # fmt: skip
        if not migrated:
            yield environment
            return
        command = [sys.executable, str(Path(settings.PROJECT_ROOT) / "manage.py"), "migrate", "audit", "--verbosity", "0"]
        subprocess.run(command, env=environment, check=True)
        yield environment


@contextmanager
def _url() -> Iterator[str]:
    server = os.environ.get("DATABASE_URL", "")
    if not server:
        yield ""
        return
    with empty_database(server) as url:
        yield url


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """The address of a new, empty database on a PostgreSQL server; dropped afterwards. The role must be allowed to make one."""
    name = f"salus_scratch_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as link:
        link.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield urlunparse(urlparse(server)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server, autocommit=True) as link:
            # not WITH (FORCE): that is refused while the server's own vacuum works in there; a plain DROP asks the vacuum to leave
            link.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = current_user", [name])
            link.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
