"""`manage.py audit_checkpoint`: a checkpoint now, written to the file and shown to the witness."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from salus_web.audit.checkpoints import make_checkpoint
from salus_web.audit.telling import show_witness, write_file
from salus_web.common.errors import SalusError


class Command(BaseCommand):
    """Makes a checkpoint at once, instead of within a minute."""

    help = "Sign a checkpoint over the newest lines, append it to the file and show it to the witness."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make, write, show."""
        try:
            made = make_checkpoint()
        except SalusError as reason:
            raise CommandError(str(reason)) from None
        write_file()
        signed = show_witness()
        self.stdout.write(f"A checkpoint was made: {made.body}" if made else "There is no line that is not under a checkpoint.")
        self.stdout.write(f"The witness signed {signed}.")
