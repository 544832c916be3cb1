"""The machine beneath: disk and sizes, migrations, versions, the broker."""

from __future__ import annotations

import os
import platform
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from salus_web.dashboard.pages.operations.figure import (
    BAD,
    GOOD,
    LOOK,
    PLAIN,
    UNKNOWN,
    Figure,
    age,
    known,
    size,
)
from salus_web.dashboard.probes import Answer
from salus_web.jobs.broker import BrokerState
from salus_web.jobs.models import Measure
from salus_web.jobs.standing import WorkerNow
from salus_web.jobs.workers import VAULT_BYTES, VAULT_FILES

LITTLE_BYTES, LITTLE_SHARE, TOO_LITTLE_BYTES = 5 << 30, 0.1, 500 << 20
REPORTED = ("Salus", "Python", "django", "celery", "torch", "onnxruntime", "xgboost")
LABELS = {"django": "Django", "celery": "Celery", "torch": "PyTorch", "onnxruntime": "ONNX Runtime", "xgboost": "XGBoost"}
NO_WORKER = "No worker lives to say it."


def disk_figures(measures: dict[str, Measure]) -> list[Figure]:
    """What is free where the data lies, and how large database and vault are."""
    return [known("Free on disk", _free), known("Database", _database), known("Vault", lambda: _vault(measures))]


def _free() -> Figure:
    found = shutil.disk_usage(settings.SALUS_DATA_DIR)
    said = f"{size(found.free)} of {size(found.total)} ({100 * found.free / found.total:.0f} %), where the data folder lies"
    if found.free < TOO_LITTLE_BYTES:
        return Figure("Free on disk", said, BAD, "Writing will soon be refused. Make room now.")
    is_little = found.free < LITTLE_BYTES or found.free / found.total < LITTLE_SHARE
    return Figure("Free on disk", said, LOOK if is_little else GOOD, "Make room, or move old backups away." if is_little else "")


def _database() -> Figure:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return Figure("Database", size(cursor.fetchone()[0]))
    files = [Path(f"{connection.settings_dict['NAME']}{end}") for end in ("", "-wal")]
    if not files[0].is_file():
        return Figure("Database", "not known", UNKNOWN, "The database lies in no file.")
    return Figure("Database", size(sum(os.stat(file).st_size for file in files if file.exists())))


def _vault(measures: dict[str, Measure]) -> Figure:
    if not isinstance(storages["vault"], FileSystemStorage):
        return Figure("Vault", "not known", UNKNOWN, "It lies in object storage: ask its own console.")
    found, files = measures.get(VAULT_BYTES), measures.get(VAULT_FILES)
    if found is None or files is None:
        return Figure("Vault", "not known", UNKNOWN, "A worker measures it every ten minutes; none has yet.")
    return Figure("Vault", f"{size(found.value)} in {files.value:,} files, measured {age(found.at)}")


def migration_figure() -> Figure:
    """Whether the database is of this version's form."""
    return known("Migrations", _migrations)


@lru_cache(maxsize=1)
def _written() -> frozenset[tuple[str, str]]:
    """Every migration of this version. They do not change while a process runs."""
    loader = MigrationLoader(None)
    return frozenset(loader.disk_migrations)


def _migrations() -> Figure:
    applied, written = set(MigrationRecorder(connection).applied_migrations()), _written()
    missing, strange = sorted(written - applied), sorted(applied - written)
    said = f"{len(written & applied)} of {len(written)} applied"
    if missing:
        names = ", ".join(".".join(one) for one in missing[:5])
        return Figure("Migrations", said, BAD, f"Missing: {names}{' …' if len(missing) > 5 else ''}. Run manage.py migrate.")
    hint = f"{len(strange)} are of another version, such as {'.'.join(strange[0])}." if strange else ""
    return Figure("Migrations", said, LOOK if strange else GOOD, hint)


def version_figures(workers: list[WorkerNow], broker: Answer) -> list[Figure]:
    """What this runs on; a worker of another version than the web stands out."""
    own = {"Salus": settings.SALUS_CODE_VERSION, "Python": platform.python_version(), "django": django.get_version()}
    alive = [one for one in workers if one.is_alive]
    return [
        *(_version(name, own.get(name, ""), alive) for name in REPORTED),
        known("Database server", lambda: Figure("Database server", _server())),
        _broker(broker),
    ]  # fmt: skip


def _version(name: str, own: str, alive: list[WorkerNow]) -> Figure:
    label = LABELS.get(name, name)
    theirs = sorted({str(one.row.versions.get(name, "not said")) for one in alive})
    if not own:
        return Figure(label, ", ".join(theirs) or "not known", PLAIN if theirs else UNKNOWN, "" if theirs else NO_WORKER)
    if theirs and theirs != [own]:
        return Figure(label, f"{own}; workers {', '.join(theirs)}", LOOK, "Workers run another version: start them again.")
    return Figure(label, own, PLAIN, "" if theirs else "of the web; no worker lives to say its own")


def _server() -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW server_version")
            return f"PostgreSQL {cursor.fetchone()[0]}"
        cursor.execute("SELECT sqlite_version()")
        return f"SQLite {cursor.fetchone()[0]}"


def _broker(answer: Answer) -> Figure:
    if answer.trouble:
        return Figure("Broker", "not known", UNKNOWN, f"{answer.trouble} Jobs wait in the database and are sent when it answers.")
    state: BrokerState = answer.value
    return Figure("Broker", state.version, GOOD)


def depth_of(answer: Answer, queue: str) -> Any:
    """How many messages lie at the broker for a queue; None when that is not known."""
    return None if answer.trouble else answer.value.depth.get(queue)
