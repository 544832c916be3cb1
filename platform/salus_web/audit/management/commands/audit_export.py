"""`manage.py audit_export --folder FOLDER`: the whole log as files for the verifier that stands alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.audit.exports import write_log
from salus_web.audit.services import Act, record
from salus_web.audit.shell import SHELL


class Command(BaseCommand):
    """Writes the whole log to files."""

    help = "Write events.jsonl and checkpoints.jsonl, to be verified with: python -m salus_web.audit.verify."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        parser.add_argument("--folder", type=Path, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write. The export is a line of the log it writes."""
        try:
            record(Act("audit.export", "log", detail={"whole": True}), by=SHELL)
            count = write_log(options["folder"])
        except OSError as reason:
            raise CommandError(f"{options['folder']} cannot be written: {reason.strerror}.") from None
        self.stdout.write(f"{count} lines were written.")
