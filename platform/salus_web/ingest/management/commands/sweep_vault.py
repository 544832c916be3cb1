"""`manage.py sweep_vault [--remove]`: says what in the vault belongs to nothing; removes it only when told to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from salus_web.accounts.actors import system
from salus_web.ingest.sweeping import REFUSED_FOR, sweep


class Command(BaseCommand):
    """Sweeps the vault."""

    help = "Say what in the vault belongs to nothing: blobs that no row names, and refused files past their time. Removes nothing without --remove."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether to remove, and how long a refused file is kept."""
        parser.add_argument("--remove", action="store_true", help="remove what was found")
        parser.add_argument("--refused-days", type=int, default=REFUSED_FOR.days, help="how long the bytes of a refused file are kept")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look, remove, say."""
        found = sweep(remove=options["remove"], by=system("command line"), refused_for=timedelta(days=max(0, options["refused_days"])))
        for key in found.nameless:
            self.stdout.write(f"no row names it: {key}")
        for upload in found.refused:
            self.stdout.write(f"refused more than {options['refused_days']} days ago: upload {upload}")
        done = "removed" if found.is_removed else "found; nothing was removed (--remove does it)"
        self.stdout.write(f"{len(found.nameless)} without a row, {len(found.refused)} refused, {found.half} that never arrived whole: {done}.")
