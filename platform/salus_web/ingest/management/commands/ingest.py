"""`manage.py ingest PATH…`: files and folders of FHIR, DICOM or zips through the door, waiting for their end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from salus_web.accounts.actors import system
from salus_web.accounts.models import Site
from salus_web.common.errors import SalusError
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import receive

BY = system("command line")
SETTLED = (UploadState.STORED, UploadState.UNCHANGED, UploadState.REFUSED)


def site_called(code: str) -> Site:
    """The site of this code, or the only one there is. Raises CommandError with a sentence."""
    sites = list(Site.objects.filter(code=code) if code else Site.objects.all()[:2])
    if len(sites) != 1:
        known = ", ".join(Site.objects.values_list("code", flat=True)) or "none yet"
        raise CommandError(f"Say which hospital the files are from with --site. Known: {known}.")
    return sites[0]


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
        site = site_called(options["site"])
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
        open_ids, refused = set(ids), 0
        while open_ids:
            for upload in Upload.objects.filter(pk__in=open_ids, state__in=SETTLED):
                open_ids.discard(upload.pk)
                words = "; ".join(upload.problems) or ", ".join(f"{k} {v}" for k, v in upload.counts.items() if v)
                self.stdout.write(f"{upload.filename}: {upload.get_state_display()}. {words}".rstrip())
                refused += upload.state == UploadState.REFUSED
            time.sleep(0.3 if open_ids else 0)
        return refused


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise CommandError(f"{path} is not there.")
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found
