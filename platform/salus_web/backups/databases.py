"""A moment of the database, copied while others write: SQLite by its own copier, PostgreSQL by its own tools."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from salus_web.backups.sealing import SEGMENT_BYTES, Opener, Sealer
from salus_web.common.errors import BadInput, IntegrityBroken

TOOLS = "/usr/lib/postgresql"
Count = Callable[[str], list[tuple[Any, ...]]]


def copy_into(sealer: Sealer, *, near: Path) -> dict[str, Any]:
    """Copy one moment of the database. Returns what was in it: `rows` per table, `migrations` and where the `log` stood.

    `near` is a folder on the disk of the backup; SQLite's copy lies there for a moment, readable by its owner only.
    """
    return _copy_postgresql(sealer) if connection.vendor == "postgresql" else _copy_sqlite(sealer, near)


def _copy_sqlite(sealer: Sealer, near: Path) -> dict[str, Any]:
    connection.ensure_connection()
    with tempfile.TemporaryDirectory(dir=near, prefix="copying-") as place:
        copy = Path(place) / "database"
        os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        target = sqlite3.connect(copy)
        try:
            connection.connection.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file that is whole without its neighbours
            found = _described(lambda query: target.execute(query).fetchall(), _sqlite_tables(target))
        finally:
            target.close()
        with copy.open("rb") as stream:
            shutil.copyfileobj(stream, sealer, SEGMENT_BYTES)
    return found


def _sqlite_tables(database: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    return [name for (name,) in database.execute(query)]


def _copy_postgresql(sealer: Sealer) -> dict[str, Any]:
    with transaction.atomic(), connection.cursor() as cursor:
        # the dump and the counts see the same moment
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT pg_export_snapshot()")
        snapshot = cursor.fetchone()[0]
        command = [tool("pg_dump"), "--format=custom", "--no-owner", "--no-privileges", "--enable-row-security", f"--snapshot={snapshot}"]
        with subprocess.Popen(command, env=around(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as dump:
            if dump.stdout is None or dump.stderr is None:
                raise BadInput("PostgreSQL's pg_dump gave no output.")
            while part := dump.stdout.read(SEGMENT_BYTES):
                sealer.write(part)
            words = dump.stderr.read().decode(errors="replace").strip()
        if dump.returncode:
            raise BadInput(f"PostgreSQL's pg_dump did not finish: {words.splitlines()[-1] if words else dump.returncode}")
        return _described(_asker(cursor), postgresql_tables())


def _asker(cursor: Any) -> Count:
    def ask(query: str) -> list[tuple[Any, ...]]:
        cursor.execute(query)
        return list(cursor.fetchall())

    return ask


def postgresql_tables() -> list[str]:
    """The tables of the platform's database, in order."""
    return sorted(connection.introspection.table_names())


def describe() -> dict[str, Any]:
    """What is in the database that this process works on: rows per table, migrations, where the log stands."""
    with connection.cursor() as cursor:
        return _described(_asker(cursor), sorted(connection.introspection.table_names()))


def _described(ask: Count, tables: list[str]) -> dict[str, Any]:
    # table names come from the database's own catalogue
    rows = {name: int(ask(f'SELECT count(*) FROM "{name}"')[0][0]) for name in tables}  # nosec B608
    migrations = [f"{app}.{name}" for app, name in ask("SELECT app, name FROM django_migrations ORDER BY app, name")]
    heads = [[int(stripe), int(place), digest] for stripe, place, digest in ask("SELECT id, place, digest FROM audit_head ORDER BY id")]
    return {"rows": rows, "migrations": migrations, "log": {"lines": rows["audit_event"], "heads": heads}}


def is_empty() -> bool:
    """Whether nothing lies where a backup would be put back."""
    if connection.vendor == "postgresql":
        return not connection.introspection.table_names()
    path = Path(connection.settings_dict["NAME"])
    return not path.exists() or path.stat().st_size == 0


def put_back(opener: Opener) -> None:
    """Put the database of a backup in place, whole or not at all."""
    if connection.vendor == "postgresql":
        _put_back_postgresql(opener)
    else:
        _put_back_sqlite(opener)
    connection.close()


def _put_back_sqlite(opener: Opener) -> None:
    connection.close()
    path = Path(connection.settings_dict["NAME"])
    half = path.with_name(path.name + ".restoring")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        shutil.copyfileobj(opener, stream, SEGMENT_BYTES)  # type: ignore[misc]
        stream.flush()
        os.fsync(stream.fileno())
    database = sqlite3.connect(half)
    try:
        whole = database.execute("PRAGMA integrity_check").fetchone()[0]
    finally:
        database.close()
    if whole != "ok":
        raise IntegrityBroken("The database in this backup is damaged; nothing was put in place.")
    for name in ("-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    half.replace(path)


def _put_back_postgresql(opener: Opener) -> None:
    command = [
        tool("pg_restore"), "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--enable-row-security",
        f"--dbname={connection.settings_dict['NAME']}",
    ]  # fmt: skip
    connection.close()
    with tempfile.TemporaryFile() as words, _fed(command, opener, words) as code:
        words.seek(0)
        last = words.read().decode(errors="replace").strip().splitlines()
    if code:
        raise IntegrityBroken(f"PostgreSQL's pg_restore put nothing in place: {last[-1] if last else code}")


@contextmanager
def _fed(command: list[str], opener: Opener, words: Any) -> Iterator[int]:
    with subprocess.Popen(command, env=around(), stdin=subprocess.PIPE, stderr=words, stdout=subprocess.DEVNULL) as running:
        if running.stdin is None:
            raise BadInput("PostgreSQL's pg_restore takes no input.")
        try:
            shutil.copyfileobj(opener, running.stdin, SEGMENT_BYTES)  # type: ignore[misc]
            running.stdin.close()
        except BrokenPipeError:
            pass  # it ended by itself and says why
        except BaseException:
            running.kill()  # a half read backup must not be taken for its end
            raise
    yield running.returncode


def around() -> dict[str, str]:
    """The environment in which PostgreSQL's tools reach this database, as the machine itself (the policies let it through)."""
    held = connection.settings_dict
    named = {"PGHOST": held["HOST"], "PGPORT": held["PORT"], "PGUSER": held["USER"], "PGPASSWORD": held["PASSWORD"], "PGDATABASE": held["NAME"]}
    return {**os.environ, **{name: str(value) for name, value in named.items() if value}, "PGOPTIONS": "-c salus.who=system"}


def tool(name: str) -> str:
    """PostgreSQL's own tool, not older than the server. Raises BadInput when there is none."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        major = int(cursor.fetchone()[0]) // 10_000
    found = sorted((int(path.parent.parent.name), path) for path in Path(TOOLS).glob(f"*/bin/{name}") if path.parent.parent.name.isdigit())
    fitting = [str(path) for version, path in found if version >= major]
    plain = shutil.which(name)
    if fitting or plain:
        return fitting[0] if fitting else str(plain)
    raise BadInput(f"{name} of PostgreSQL {major} or newer is not on this machine. Install the package postgresql-client-{major}.")
