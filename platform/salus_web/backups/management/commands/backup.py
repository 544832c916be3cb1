"""`manage.py backup --to FOLDER`: a sealed copy of everything while the platform runs."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.backups.taking import take_backup
from salus_web.common import keyring
from salus_web.common.errors import SalusError


class Command(BaseCommand):
    """Takes a backup."""

    help = "Take a sealed backup of database, vault and the log's checkpoints while the platform runs. Persons' keys go apart."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and with which key."""
        parser.add_argument("--to", type=Path, help="a folder that exists; the backup becomes a folder in it")
        parser.add_argument("--key-file", type=Path, default=settings.SALUS_BACKUP_KEY_FILE or None)
        parser.add_argument("--make-key", action="store_true", help="make the key file first; keep a copy of it in a safe")
        parser.add_argument(
            "--person-keys", type=Path, metavar="FILE",
            help="also copy the persons' keys to this new file: never beside the backups, and kept for a short time only",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what was asked for; say what was written."""
        key_file = options["key_file"]
        if key_file is None:
            raise CommandError("Name the backup key with --key-file, or set SALUS_BACKUP_KEY_FILE.")
        if options["make_key"]:
            self._make_key(key_file)
        if options["to"] is not None:
            try:
                run = take_backup(to=options["to"], key_file=key_file)
            except SalusError as reason:
                raise CommandError(str(reason)) from None
            rows = sum(run.found["rows"].values())
            self.stdout.write(f"{run.backup}: {rows} rows, {run.found['blobs']} files, {run.size_bytes} bytes.")
        if options["person_keys"] is not None:
            try:
                keyring.copy_to(options["person_keys"])
            except FileExistsError:
                raise CommandError(f"{options['person_keys']} is there already; name a new file.") from None
            self.stdout.write("Persons' keys were copied. Destroy the copy within its term (see docs/administrator/keys.md).")

    def _make_key(self, path: Path) -> None:
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise CommandError(f"{path} is there already; a backup key is never replaced.") from None
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32) + "\n")
        self.stdout.write("The backup key was made. Without it no backup opens: keep a copy in a safe, away from the backups.")
