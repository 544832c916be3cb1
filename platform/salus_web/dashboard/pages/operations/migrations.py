"""Whether the database is of this version's form."""

from __future__ import annotations

from functools import lru_cache

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from salus_web.dashboard.pages.operations.figure import BAD, GOOD, LOOK, Figure, known


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
