"""What is free on the disk, and how large database and vault are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage, storages
from django.db import connection

from salus_web.dashboard.pages.operations.figure import BAD, GOOD, LOOK, UNKNOWN, Figure, age, known, size
from salus_web.jobs.models import Measure
from salus_web.jobs.workers import VAULT_BYTES, VAULT_FILES

LITTLE_BYTES, LITTLE_SHARE, TOO_LITTLE_BYTES = 5 << 30, 0.1, 500 << 20


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
