"""`manage.py load_demo`: opens the demonstration hospital (`manage.py up` calls it; workers must be running)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.common.errors import SalusError
from salus_web.dashboard import demo


class Command(BaseCommand):
    """Opens the demonstration hospital."""

    help = "Open the demonstration hospital: simulated patients, a model trained on them, risks."

    def add_arguments(self, parser: CommandParser) -> None:
        """How large a hospital."""
        parser.add_argument("--patients", type=int, default=360)
        parser.add_argument("--present", type=int, default=56)

    def handle(self, *args: Any, **options: Any) -> None:
        """Say each step; a failure is one sentence."""
        demo.make_people()
        try:
            demo.open_hospital(
                lambda words: self.stdout.write(f"  {words}"), patients=options["patients"], present=options["present"]
            )
        except SalusError as error:
            raise CommandError(f"The demonstration hospital could not be opened. {error}") from None
