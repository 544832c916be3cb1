"""Putting a backup back: everything is checked before the first byte is written, and nothing is ever written over."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from salus_web.audit.examination import examine
from salus_web.audit.services import Act, record
from salus_web.audit.shell import SHELL
from salus_web.audit.verifier import Finding
from salus_web.backups import databases, manifest
from salus_web.backups.manifest import Manifest
from salus_web.backups.sealing import Opener, read_key
from salus_web.backups.taking import DATABASE, KEPT_OF_LOG, LOG, VAULT
from salus_web.common import vault
from salus_web.common.errors import IntegrityBroken, StateConflict
from salus_web.stewardship.copies import apply_erasures

MARK = "restoring"


@dataclass(frozen=True, slots=True)
class Restored:
    """What the backup said of itself, what the log's proof says now, and how many people were in it who had been erased since
    and were erased again; None where the copy is of an older Salus and has to be migrated first."""

    said: Manifest
    found: Finding
    erased_again: int | None


def restore_backup(folder: Path, *, key_file: Path) -> Restored:
    """Put a backup into an empty installation, and erase again whoever was erased since it was taken.

    Raises IntegrityBroken, naming the file, when the backup is not what was written; StateConflict when something lies where
    it would go, or the backup is of a newer Salus or another kind of database. Killed in the middle, it can be run again.
    """
    key = read_key(key_file)
    said = manifest.read(folder, key=key)
    _refuse_unfitting(said)
    _refuse_occupied(said)
    _mark().write_text(said.backup, encoding="utf-8")
    opener = _opened(folder, VAULT, said, key)
    blobs = sum(_put_blob(name, body) for name, body in _packed(opener))
    if blobs != said.blobs:
        raise IntegrityBroken(f"{VAULT} holds {blobs} files where the backup says {said.blobs}.")
    for name, body in _packed(_opened(folder, LOG, said, key)):
        path = Path(settings.SALUS_AUDIT_DIR) / name
        # what lies there saw more than the backup did, and may not be made to forget it
        if name in KEPT_OF_LOG and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
    databases.put_back(_opened(folder, DATABASE, said, key))
    _compare(said)
    found = examine()
    erased_again = None if _waits_for_migrations() else apply_erasures(by=SHELL)
    _mark().unlink()
    with transaction.atomic():
        record(Act("backup.restore", "backup", said.backup, detail={"lines": said.log["lines"], "taken": said.taken_at}), by=SHELL)
    return Restored(said, found, erased_again)


def _opened(folder: Path, name: str, said: Manifest, key: str) -> Opener:
    return Opener(folder / name, key=key, bound_to=f"{said.backup}/{name}")


def _mark() -> Path:
    return Path(settings.SALUS_DATA_DIR) / MARK


def _refuse_unfitting(said: Manifest) -> None:
    if said.vendor != connection.vendor:
        raise StateConflict(f"This backup is of a {said.vendor} database; this installation has {connection.vendor}.")
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    ours = {name.split(".")[0] for name in known}
    newer = [name for name in said.migrations if name.split(".")[0] in ours and name not in known]
    if newer:
        raise StateConflict(f"This backup is of a newer Salus ({said.version}, with {newer[-1]}). Install that version first.")


def _waits_for_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _refuse_occupied(said: Manifest) -> None:
    again = _mark().is_file() and _mark().read_text(encoding="utf-8") == said.backup
    if not databases.is_empty():
        raise StateConflict("There is a database here already; a backup is only put into an empty one. Nothing was changed.")
    if vault.folders() and not again:
        raise StateConflict("There are files in the vault already; a backup is only put into an empty one. Nothing was changed.")


def _packed(opener: Opener) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=opener, mode="r|") as tar:  # type: ignore[call-overload]
        for entry in tar:
            stream = tar.extractfile(entry)
            if stream is not None:
                yield entry.name, stream.read()
    opener.read()  # to the end, so that a cut is seen
    opener.close()


def _put_blob(name: str, body: bytes) -> int:
    storage = storages["vault"]
    if storage.exists(name):  # by a run of this restore that was killed
        storage.delete(name)
    storage.save(name, ContentFile(body))
    return 1


def _compare(said: Manifest) -> None:
    found: dict[str, Any] = databases.describe()
    wrong = [name for name, count in said.rows.items() if found["rows"].get(name) != count]
    if wrong or found["log"] != said.log:
        raise IntegrityBroken(f"What was put back is not what was copied: {', '.join(wrong) or 'the log stands elsewhere'}.")
