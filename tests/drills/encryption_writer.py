"""The site while keys rotate: a process that adds a patient and a blob of nobody, over and over, until it is killed.

`python -m tests.drills.encryption_writer FILE` notes in the file, after each commit, what was acknowledged.
"""

from __future__ import annotations

import os
import sys
import time

import django

django.setup()

from django.db import transaction  # noqa: E402 - Django must be up first
from salus_web.accounts.models import Site  # noqa: E402
from salus_web.common import vault  # noqa: E402
from salus_web.common.clock import now  # noqa: E402
from salus_web.common.ids import new_id  # noqa: E402
from salus_web.records.models import Patient  # noqa: E402

PAUSE_SECONDS = 0.02


def main(path: str) -> None:
    """Write until killed."""
    acknowledged = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    site = Site.objects.get(code="drill")
    while True:
        key = new_id()
        with transaction.atomic():
            blob = vault.put(str(key).encode())  # as a model or a release: under the master key
            patient = Patient(id=key, site=site, mrn_index=key.hex, created_at=now())
            patient.name = f"Name {key}"
            patient.save(force_insert=True)
        os.write(acknowledged, f"{key} {blob.key} {blob.sha256}\n".encode())
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
