"""Looks at what was put back: whether all that was acknowledged is there, opens, and is what was stored; then goes on with it.

`python -m tests.drills.backup_checker FILE` prints JSON; FILE names what must be there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import django

django.setup()

from salus_web.accounts.actors import system  # noqa: E402 - Django must be up first
from salus_web.accounts.models import Site  # noqa: E402
from salus_web.audit.examination import examine  # noqa: E402
from salus_web.audit.models import Event  # noqa: E402
from salus_web.common import vault  # noqa: E402
from salus_web.common.errors import IntegrityBroken  # noqa: E402
from salus_web.ingest.models import Upload  # noqa: E402
from salus_web.ingest.services import receive  # noqa: E402
from salus_web.jobs.models import Job  # noqa: E402
from salus_web.records.models import Patient  # noqa: E402

DRILL = system("drill")


def opens(upload: Upload) -> bool:
    """Whether an upload's file is there and is the one that was stored."""
    try:
        vault.get(upload.blob_key, sha256=upload.blob_sha256)
    except IntegrityBroken:
        return False
    return True


def main(path: str) -> None:
    """Count, then bring in one more file."""
    wanted = [line.split() for line in Path(path).read_text().splitlines()]
    patients = {str(row.pk): row for row in Patient.objects.for_actor(DRILL)}
    uploads = {str(row.pk): row for row in Upload.objects.select_related("job")}
    lines = set(Event.objects.filter(action="upload.receive").values_list("object_id", flat=True))
    jobs = set(Job.objects.values_list("pk", flat=True))
    keys = {key for folder in vault.folders() for key in vault.keys_in(folder)}
    found = {
        "acknowledged": len(wanted), "patients": len(patients), "uploads": len(uploads),
        "lost": sum(patient not in patients or upload not in uploads for patient, upload in wanted),
        "unread": sum(row.name != f"Name {key}" for key, row in patients.items()),
        "broken": sum(not opens(row) for row in uploads.values()),
        "without_a_line": len(set(uploads) - lines), "lines_of_nothing": len(lines - set(uploads)),
        "without_a_job": sum(row.job_id not in jobs for row in uploads.values()),
        "blobs_of_nobody": len(keys - {row.blob_key for row in uploads.values()}), "log": examine().code,
    }  # fmt: skip
    receive(filename="after.json", content=b"{}", site=Site.objects.get(code="drill"), by=DRILL)
    sys.stdout.write(json.dumps(found | {"log_after": examine().code}))


if __name__ == "__main__":
    main(sys.argv[1])
