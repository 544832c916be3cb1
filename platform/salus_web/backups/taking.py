"""Taking a backup while the platform runs: the database of one moment, every blob of the vault, the log's checkpoints."""

from __future__ import annotations

import io
import shutil
import sqlite3
import tarfile
import uuid
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.files.storage import storages
from django.db import transaction

from salus_web.audit.services import Act, record
from salus_web.audit.shell import SHELL
from salus_web.backups import databases, manifest
from salus_web.backups.manifest import Manifest
from salus_web.backups.models import Run, RunKind
from salus_web.backups.sealing import Sealer, read_key, sync_folder
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, SalusError
from salus_web.common.key_sources import KeyTrouble
from salus_web.common.trouble import is_disk_full

DATABASE, VAULT, LOG = "database.sealed", "vault.sealed", "log.sealed"
HALF = ".half-done"
KEPT_OF_LOG = ("checkpoints.jsonl", "signer.pub", "witness.pub")


def take_backup(*, to: Path, key_file: Path) -> Run:
    """Take a backup into a new folder under `to`. What happened is kept as a row and on the log, also where it failed.

    Raises the reason again: BadInput for a folder or key that does not serve, or when the disk is full.
    """
    started = now()
    name = f"backup-{started:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"
    try:
        written, size = _write(to, name, key_file)
    except (SalusError, KeyTrouble, OSError, sqlite3.Error) as error:
        reason = _words(error)
        keep(Run(kind=RunKind.BACKUP, backup=name, started_at=started, finished_at=now(), done=False, reason=reason[:400]))
        raise BadInput(reason) from None
    finally:  # a whole one has its name by now; whatever broke it off, half of one is not left on the disk
        shutil.rmtree(to / (name + HALF), ignore_errors=True)
    found = {"rows": written.rows, "log": written.log, "files": written.files, "blobs": written.blobs}
    return keep(Run(kind=RunKind.BACKUP, backup=name, started_at=started, finished_at=now(), done=True, size_bytes=size, found=found))


def keep(run: Run) -> Run:
    """Store what became of a run, with its line on the log."""
    with transaction.atomic():
        run.save(force_insert=True)
        detail = {"backup": run.backup, "bytes": run.size_bytes, "reason": run.reason}
        record(Act(f"{run.kind}.run", "backup", str(run.pk), outcome="done" if run.done else "failed", detail=detail), by=SHELL)
    return run


def _words(error: Exception) -> str:
    if is_disk_full(error):
        return "The disk is full; the unfinished backup was removed."
    if isinstance(error, OSError):
        return f"The backup could not be written: {error.strerror}."
    return f"The database could not be copied: {error}." if isinstance(error, sqlite3.Error) else str(error)


def _write(to: Path, name: str, key_file: Path) -> tuple[Manifest, int]:
    if not to.is_dir():
        raise BadInput(f"{to} is no folder. Make it first, on another disk than the data's.")
    key, taken = read_key(key_file), now()
    half = to / (name + HALF)
    half.mkdir(mode=0o700)
    blobs = _VaultPack(Sealer(half / VAULT, key=key, bound_to=f"{name}/{VAULT}"))
    # before and after the database's moment: a blob of that moment was there at the first look, or is there at the second
    blobs.add_new()
    database = Sealer(half / DATABASE, key=key, bound_to=f"{name}/{DATABASE}")
    found = databases.copy_into(database, near=half)
    blobs.add_new()
    log = Sealer(half / LOG, key=key, bound_to=f"{name}/{LOG}")
    _pack_log(log)
    files = {DATABASE: database.finish(), VAULT: blobs.finish(), LOG: log.finish()}
    size = sum((half / file).stat().st_size for file in files)
    written = _manifest(name, taken, found, files, blobs.count)
    manifest.write(written, half, key=key)
    sync_folder(half)
    half.rename(to / name)
    sync_folder(to)
    return written, size


def _manifest(name: str, taken: datetime, found: dict, files: dict[str, str], blobs: int) -> Manifest:  # type: ignore[type-arg]
    return Manifest(
        backup=name, taken_at=taken.isoformat(timespec="seconds"), version=settings.SALUS_CODE_VERSION, vendor=databases.connection.vendor,
        migrations=tuple(found["migrations"]), rows=found["rows"], log=found["log"], files=files, blobs=blobs,
    )  # fmt: skip


class _VaultPack:
    """The vault's blobs as they lie, sealed by their own keys already, in one sealed tar."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer, self._seen = sealer, set[str]()
        self._tar = tarfile.open(fileobj=sealer, mode="w|")  # type: ignore[call-overload]  # noqa: SIM115 - closed by `finish`

    @property
    def count(self) -> int:
        return len(self._seen)

    def add_new(self) -> None:
        """Every blob that is not in the pack yet. One that goes away meanwhile is left out."""
        for folder in vault.folders():
            for name in vault.keys_in(folder):
                if name not in self._seen:
                    self._add(folder, name)

    def _add(self, folder: str, name: str) -> None:
        try:
            with storages["vault"].open(f"{folder}/{name}", "rb") as stream:
                body = stream.read()
        except FileNotFoundError:
            return
        _put(self._tar, f"{folder}/{name}", body)
        self._seen.add(name)

    def finish(self) -> str:
        self._tar.close()
        return self._sealer.finish()


def _pack_log(sealer: Sealer) -> None:
    with tarfile.open(fileobj=sealer, mode="w|") as tar:  # type: ignore[call-overload]
        for name in KEPT_OF_LOG:
            path = Path(settings.SALUS_AUDIT_DIR) / name
            if path.is_file():
                _put(tar, name, path.read_bytes())


def _put(tar: tarfile.TarFile, name: str, body: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(body), 0o600
    tar.addfile(entry, io.BytesIO(body))
