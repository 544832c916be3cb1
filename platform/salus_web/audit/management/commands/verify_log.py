"""`manage.py verify_log`: 0 whole, 2 changed at N, 3 cut short, 4 rolled back."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from salus_web.audit.examination import examine
from salus_web.audit.verifier import WHOLE
from salus_web.common.errors import SalusError


class Command(BaseCommand):
    """Proves the audit log whole."""

    help = "Prove the audit log whole. Exit status: 0 whole, 2 changed, 3 cut short, 4 rolled back."

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk the whole log once, and ask the file of checkpoints and the witness."""
        try:
            found = examine()
        except SalusError as reason:
            raise CommandError(str(reason)) from None
        for sentence in (found.sentence, *found.remarks):
            self.stdout.write(sentence)
        if found.root:
            self.stdout.write(f"Checkpoint {found.sequence}, root {found.root}")
        if found.code != WHOLE:
            sys.exit(found.code)
