"""`manage.py audit_fork --reason …`: after a backup was restored, sign which line of the log was left and why."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.audit.forks import fork_log
from salus_web.audit.shell import SHELL
from salus_web.audit.telling import show_witness, write_file
from salus_web.common.errors import SalusError


class Command(BaseCommand):
    """Explains a restored backup to the verifier and the witness."""

    help = "After restoring a backup: sign which line was left and why. Name no patient."

    def add_arguments(self, parser: CommandParser) -> None:
        """Why."""
        parser.add_argument("--reason", required=True, help="why the backup was restored; kept for ever, so name no patient")

    def handle(self, *args: Any, **options: Any) -> None:
        """Sign, write, show."""
        try:
            row = fork_log(reason=options["reason"], by=SHELL)
        except SalusError as reason:
            raise CommandError(str(reason)) from None
        write_file()
        show_witness()
        content = json.loads(row.body)
        self.stdout.write(f"Signed: kept {content['kept']['size']} lines, left a line of {content['left']['size']}.")
