"""`manage.py sbom [--out FILE]`: what Salus is made of, as CycloneDX JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.common.clock import now
from salus_web.dashboard.materials import NotInstalled, bill


class Command(BaseCommand):
    """Writes the bill of materials."""

    help = "Write what Salus is made of (CycloneDX 1.6, JSON): packages with versions, licences and digests."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to."""
        parser.add_argument("--out", type=Path, help="a file; standard output unless given")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look at what is installed, and write."""
        try:
            text = json.dumps(bill(settings.PROJECT_ROOT, version=settings.SALUS_CODE_VERSION, made_at=now()), indent=1)
        except NotInstalled as problem:
            raise CommandError(str(problem)) from None
        if options["out"]:
            options["out"].write_text(text + "\n", encoding="utf-8")
        else:
            self.stdout.write(text)
