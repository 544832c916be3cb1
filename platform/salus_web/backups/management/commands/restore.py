"""`manage.py restore --from FOLDER`: put a backup into an empty installation, with every digest and the log's proof checked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.audit.verifier import ROLLED_BACK, WHOLE
from salus_web.backups.restoring import restore_backup
from salus_web.common.errors import SalusError
from salus_web.common.key_sources import KeyTrouble


class Command(BaseCommand):
    """Puts a backup back."""

    help = "Put a backup into an empty installation. Checks every digest before the first byte is written."
    # there is no database yet that they could ask
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where from, and with which key."""
        parser.add_argument("--from", dest="folder", type=Path, required=True, help="the backup's own folder")
        parser.add_argument("--key-file", type=Path, default=settings.SALUS_BACKUP_KEY_FILE or None)

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore; then say how the log stands."""
        if options["key_file"] is None:
            raise CommandError("Name the backup key with --key-file, or set SALUS_BACKUP_KEY_FILE.")
        try:
            done = restore_backup(options["folder"], key_file=options["key_file"])
        except (SalusError, KeyTrouble) as reason:
            raise CommandError(str(reason)) from None
        except OSError as error:
            raise CommandError(f"The backup could not be put back: {error.strerror}. Run it again when that is mended.") from None
        said, found = done.said, done.found
        self.stdout.write(f"{said.backup} of {said.taken_at}: {sum(said.rows.values())} rows and {said.blobs} files are as they were.")
        if done.erased_again is None:
            self.stdout.write("Before anybody works here: manage.py migrate, then manage.py apply_erasures. Whoever was erased since is in this copy.")
        elif done.erased_again:
            self.stdout.write(f"People who were erased since this copy was made, and were erased again: {done.erased_again}.")
        for sentence in (found.sentence, *found.remarks):
            self.stdout.write(sentence)
        if found.code == ROLLED_BACK:
            self.stdout.write("Others have seen a longer log. Sign what happened: manage.py audit_fork --reason …")
        elif found.code != WHOLE:
            sys.exit(found.code)
