"""`manage.py verify_log`: 0 whole, 2 changed at N, 3 cut short against a saved head."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.audit.chain import FIELDS
from salus_web.audit.models import Event
from salus_web.audit.selectors import head
from salus_web.audit.verifier import WHOLE, verify


class Command(BaseCommand):
    """Proves the audit log whole."""

    help = "Prove the audit log whole. Exit status: 0 whole, 2 changed, 3 cut short."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where a head saved earlier lies, and where to save this one."""
        parser.add_argument("--head", type=Path, help="a head saved before, to compare with")
        parser.add_argument("--save-head", type=Path, help="save the head here when the log is whole")

    def handle(self, *args: Any, **options: Any) -> None:
        """Walk the whole log once."""
        # without a head from elsewhere, the chain must at least reach the head that the database itself keeps
        saved = head() if head()[0] else None
        if options["head"]:
            try:
                body = json.loads(options["head"].read_text())
                saved = (int(body["number"]), str(body["digest"]))
            except (OSError, ValueError, KeyError, TypeError):
                raise CommandError(f"{options['head'].name} is not a saved head.") from None
        rows = Event.objects.order_by("number").values(*FIELDS, "digest").iterator(chunk_size=2000)
        found = verify(rows, saved_head=saved)
        self.stdout.write(found.sentence)
        if found.code == WHOLE and options["save_head"]:
            options["save_head"].write_text(json.dumps({"number": found.number, "digest": found.digest}))
        if found.code != WHOLE:
            sys.exit(found.code)
