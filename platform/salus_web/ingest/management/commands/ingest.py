"""`manage.py ingest PATH…`: files and folders of FHIR, DICOM or zips through the door, waiting for their end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.accounts.actors import system
from salus_web.accounts.models import Site
from salus_web.accounts.sites import site_called
from salus_web.common.errors import SalusError
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import receive

BY = system("command line")
SETTLED = (UploadState.STORED, UploadState.UNCHANGED, UploadState.REFUSED)


def site_named(code: str) -> Site:
    """The hospital that --site names, or the first one. Raises CommandError with a sentence."""
    try:
        return site_called(code, by=BY)
    except SalusError as problem:
        raise CommandError(str(problem)) from None


class Patience:
    """Says once that no worker has taken anything for a while, so that nobody waits in vain."""

    SECONDS = 20.0

    def __init__(self, say: Callable[[str], Any]) -> None:
        self.say, self.since, self.said = say, time.monotonic(), False

    def waiting(self, is_running: bool) -> None:
        """Note another look at the queue."""
        if is_running:
            self.since = time.monotonic()
        elif not self.said and time.monotonic() - self.since > self.SECONDS:
            self.said = True
            self.say("Still waiting for a worker. If none runs, start them with ./salus up in another terminal.")


class Command(BaseCommand):
    """Brings files in."""

    help = "Bring files or folders (FHIR R4 bundles, DICOM, zips) in through the door."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to bring in and for which hospital."""
        parser.add_argument("paths", nargs="+", type=Path)
        parser.add_argument("--site", default="", help="the hospital's code")
        parser.add_argument("--no-wait", action="store_true", help="do not wait until the workers have read them")

    def handle(self, *args: Any, **options: Any) -> None:
        """Receive every file, then wait. Exit status 1 when any was refused."""
        site = site_named(options["site"])
        self.stdout.write(f"For {site.name}:")
        uploads = [self._receive(path, site) for path in _files(options["paths"])]
        if not options["no_wait"]:
            refused = self._wait([upload.pk for upload in uploads])
            if refused:
                raise CommandError(f"{refused} of {len(uploads)} files were refused; the reasons stand above.")

    def _receive(self, path: Path, site: Site) -> Upload:
        try:
            return receive(filename=path.name, content=path.read_bytes(), site=site, by=BY)
        except (OSError, SalusError) as error:
            raise CommandError(f"{path}: {error}") from None

    def _wait(self, ids: list[Any]) -> int:
        """Until each is settled; prints each once. Returns how many were refused."""
        open_ids, refused, patience = set(ids), 0, Patience(self.stdout.write)
        while open_ids:
            for upload in Upload.objects.filter(pk__in=open_ids, state__in=SETTLED):
                open_ids.discard(upload.pk)
                words = "; ".join(upload.problems) or ", ".join(f"{k} {v}" for k, v in upload.counts.items() if v)
                self.stdout.write(f"{upload.filename}: {upload.get_state_display()}. {words}".rstrip())
                refused += upload.state == UploadState.REFUSED
            patience.waiting(Upload.objects.filter(pk__in=open_ids, state=UploadState.PARSING).exists())
            time.sleep(0.3 if open_ids else 0)
        return refused


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} is not there.")
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found
