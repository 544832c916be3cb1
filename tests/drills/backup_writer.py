"""A site at work while backups are taken: people, files through the door and lines of the log, until it is killed.

`python -m tests.drills.backup_writer FILE` notes in the file, after each commit, what was acknowledged: patient and upload.
"""

from __future__ import annotations

import os
import sys

import django

django.setup()

from salus_web.accounts.actors import system  # noqa: E402 - Django must be up first
from salus_web.accounts.models import Site  # noqa: E402
from salus_web.common.clock import now  # noqa: E402
from salus_web.common.ids import new_id  # noqa: E402
from salus_web.ingest.services import receive  # noqa: E402
from salus_web.records.models import Patient  # noqa: E402

DRILL = system("drill")


def main(path: str) -> None:
    """Write until killed."""
    acknowledged = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    site, _ = Site.objects.get_or_create(code="drill", defaults={"name": "Drill"})
    while True:
        key = new_id()
        patient = Patient(id=key, site=site, mrn_index=key.hex, pseudonym=key.hex, created_at=now())
        patient.name = f"Name {key}"
        patient.save(force_insert=True)
        upload = receive(filename=f"{key}.json", content=f"file of {key}".encode() * 200, site=site, by=DRILL)
        os.write(acknowledged, f"{key} {upload.pk}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
