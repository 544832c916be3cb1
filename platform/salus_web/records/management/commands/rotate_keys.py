"""`manage.py rotate_keys`: bring everything sealed under the current master key, while the site runs."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.accounts.actors import system
from salus_web.common.errors import SalusError
from salus_web.common.key_sources import FileKeys, KeyTrouble, add_key
from salus_web.common.keys import key_set
from salus_web.records.key_rotation import Rotated, compact, rotate

SHELL = system("command line")


class Command(BaseCommand):
    """Seals anew in small steps; killed anywhere, the next run goes on."""

    help = "Seal everything anew with the current master key. Safe to kill and to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether to make a key first, and to compact afterwards."""
        parser.add_argument("--new", action="store_true", help="first add a new key to the key file and make it the current one")
        parser.add_argument("--compact", action="store_true", help="afterwards write the SQLite database anew (others wait meanwhile)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate, then say which old keys may go."""
        started = time.monotonic()
        try:
            if options["new"]:
                self.stdout.write(f"Made the key {self._new_key()}; it is the current one now.")
            done = rotate(by=SHELL, say=lambda words: self.stdout.write(f"  {words}"))
            if options["compact"]:
                compact()
        except (SalusError, KeyTrouble) as reason:
            raise CommandError(str(reason)) from None
        self.stdout.write(f"Moved {done.moved:,} to the key {done.current} in {time.monotonic() - started:.1f} s.")
        self._say_what_is_left(done)

    def _new_key(self) -> str:
        source = settings.SALUS_KEY_SOURCE
        if not isinstance(source, FileKeys) or source.current:
            raise CommandError(
                "The keys do not come from a file that names its current key. Add the new key where they come from, "
                "make it the current one, then run this command without --new."
            )
        name = add_key(source.path)
        if key_set().current != name:  # this process read the file a moment ago
            time.sleep(source.fresh_for)
        return name

    def _say_what_is_left(self, done: Rotated) -> None:
        """Old keys by name, and whether anything here still needs them."""
        for name in sorted(set(done.uses) - {done.current}):
            where = ", ".join(f"{place} {number:,}" for place, number in sorted(done.uses[name].items()))
            self.stdout.write(f"The key {name or '(unreadable)'} is still used: {where}.")
        for name in done.unused:
            self.stdout.write(f"The key {name} is no longer used by anything here. Backups made before may still need it.")
        if done.broken:
            shown = "".join(f"\n  {place}" for place in done.broken[:20])
            raise CommandError(f"{len(done.broken)} stored values do not open, so no key is said to be unused:{shown}")
        if any(name != done.current and count for name, count in done.uses.items()):
            raise CommandError("Something is still under an old key. Run this command again.")
