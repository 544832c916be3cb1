"""`manage.py apply_erasures`: erase again whoever was erased before, after an older copy of data or keys was put back."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from salus_web.audit.shell import SHELL
from salus_web.stewardship.copies import apply_erasures


class Command(BaseCommand):
    """Clears an older copy of those who were erased since."""

    help = "Erase again whoever was erased before. For after a restore; doing it twice changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it and say how many."""
        number = apply_erasures(by=SHELL)
        self.stdout.write(f"People who had been erased, were here again, and were erased again: {number}.")
