"""`manage.py restore_drill --from FOLDER`: prove that the newest backup can be put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.backups.drilling import restore_drill
from salus_web.common.errors import SalusError


class Command(BaseCommand):
    """Restores the newest backup elsewhere and compares."""

    help = "Restore the newest backup in FOLDER into a scratch place, compare rows, digests and the log's proof, and keep the outcome."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where the backups lie."""
        parser.add_argument("--from", dest="place", type=Path, required=True, help="the folder that holds the backups")
        parser.add_argument("--key-file", type=Path, default=settings.SALUS_BACKUP_KEY_FILE or None)

    def handle(self, *args: Any, **options: Any) -> None:
        """Drill; say how it went. Exit status 1 when the backup could not be put back whole."""
        if options["key_file"] is None:
            raise CommandError("Name the backup key with --key-file, or set SALUS_BACKUP_KEY_FILE.")
        try:
            run = restore_drill(place=options["place"], key_file=options["key_file"])
        except SalusError as reason:
            raise CommandError(str(reason)) from None
        if not run.done:
            raise CommandError(f"{run.backup} could not be put back: {run.reason}")
        seconds = (run.finished_at - run.started_at).total_seconds()
        self.stdout.write(f"{run.backup} was put back and is what was copied, in {seconds:.0f} s.")
