"""`manage.py bench`: runs the workers' bench in a process of its own and passes its JSON through."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """Measures speed as ratios to plain limits."""

    help = "Print speed as JSON, each figure beside its plain limit in the same run."

    def add_arguments(self, parser: CommandParser) -> None:
        """How much."""
        parser.add_argument("--quick", action="store_true", help="small sizes, about a minute")

    def handle(self, *args: Any, **options: Any) -> None:
        """The web's process loads no model library, so the bench is another process."""
        command = [sys.executable, "-m", "salus_workers.bench", *(["--quick"] if options["quick"] else [])]
        if subprocess.run(command, check=False).returncode != 0:
            raise CommandError("The bench did not finish; the lines above say where.")
