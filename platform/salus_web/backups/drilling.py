"""The restore drill: the newest backup is put back in a place of its own, by processes of its own, and compared."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection

from salus_web.audit.scratch import LEFT_OUT, empty_database
from salus_web.backups.manifest import FILE
from salus_web.backups.models import Run, RunKind
from salus_web.backups.taking import keep
from salus_web.common.clock import now
from salus_web.common.errors import BadInput

LONGEST_SECONDS = 6 * 3600


def newest_backup(place: Path) -> Path:
    """The newest whole backup in a folder of backups. Raises BadInput when there is none."""
    found = sorted(path.parent for path in place.glob(f"backup-*/{FILE}") if path.parent.suffix == "")
    if not found:
        raise BadInput(f"There is no whole backup in {place}.")
    return found[-1]


def restore_drill(*, place: Path, key_file: Path) -> Run:
    """Restore the newest backup into a scratch place, compare rows, digests and the log's proof there, and keep the outcome.

    A drill that finds a backup wanting is a row that is not done, with the reason; only BadInput is raised, for no backup.
    """
    started, folder, size = now(), newest_backup(place), 0
    try:
        size = sum(path.stat().st_size for path in folder.iterdir())
        with _scratch() as environment:
            words, code = _run(["restore", "--from", str(folder), "--key-file", str(key_file)], environment)
    except (psycopg.Error, OSError, subprocess.TimeoutExpired) as error:
        words, code = f"It could not be put on trial: {str(error).splitlines()[0]}", 1
    reason = "" if code == 0 else (words.splitlines()[-1] if words else "The restore ended without a word.")
    return keep(
        Run(
            kind=RunKind.DRILL, backup=folder.name, started_at=started, finished_at=now(), done=code == 0,
            reason=reason[:400], size_bytes=size, found={"words": words.splitlines()[-6:]},
        )  # fmt: skip
    )


@contextmanager
def _scratch() -> Iterator[dict[str, str]]:
    left = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    # where a backup of this size fits is for the administrator to say; the usual place for what is soon gone otherwise
    with tempfile.TemporaryDirectory(prefix="salus-drill-", dir=os.environ.get("SALUS_DRILL_DIR") or None) as folder, _database() as url:
        yield left | {"SALUS_DATA_DIR": folder, "SALUS_AUDIT_WITNESS": f"folder:{folder}/audit/witness", "DATABASE_URL": url}


@contextmanager
def _database() -> Iterator[str]:
    if connection.vendor != "postgresql":
        yield ""
        return
    with empty_database(os.environ.get("SALUS_DRILL_DATABASE_URL") or os.environ["DATABASE_URL"]) as url:
        yield url


def _run(words: list[str], environment: dict[str, str]) -> tuple[str, int]:
    command = [sys.executable, str(Path(settings.PROJECT_ROOT) / "manage.py"), *words]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
    return (ended.stdout + ended.stderr).strip(), ended.returncode
