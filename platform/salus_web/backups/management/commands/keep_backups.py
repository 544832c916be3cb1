"""`manage.py keep_backups`: a backup each night and a restore drill each week, for as long as it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, InterfaceError, close_old_connections

from salus_web.backups.schedule import keep_up
from salus_web.common.errors import LogNotWritten

LOOK_EVERY_SECONDS = 300.0


class Command(BaseCommand):
    """Looks every five minutes whether a backup or a drill is due."""

    help = "Take a backup each night, put the newest one back on trial each week, and say when a backup is late. Runs until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, with which key, at which hour."""
        parser.add_argument("--to", type=Path, default=settings.SALUS_BACKUP_DIR or None, help="a folder that exists, on another disk")
        parser.add_argument("--key-file", type=Path, default=settings.SALUS_BACKUP_KEY_FILE or None)
        parser.add_argument("--hour", type=int, default=settings.SALUS_BACKUP_HOUR, choices=range(24), metavar="0-23", help="hour (UTC)")
        parser.add_argument("--once", action="store_true", help="look once and end")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, do what is due, wait."""
        if options["to"] is None or options["key_file"] is None:
            raise CommandError("Name the folder with --to (or SALUS_BACKUP_DIR) and the key with --key-file (or SALUS_BACKUP_KEY_FILE).")
        while True:
            close_old_connections()
            try:
                for sentence in keep_up(place=options["to"], key_file=options["key_file"], hour=options["hour"]):
                    self.stdout.write(sentence)
            except (DatabaseError, InterfaceError, LogNotWritten):
                self.stderr.write("The database does not answer; what is due is tried again in five minutes.")
            if options["once"]:
                return
            time.sleep(LOOK_EVERY_SECONDS)
