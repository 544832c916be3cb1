"""An upload is read in its child, stored whole or refused whole; then risks that its data touches are asked anew."""

from __future__ import annotations

from collections.abc import Callable

from salus_web.accounts.actors import system
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import read_and_store
from salus_web.jobs.services import Claim, finish
from salus_web.predictions.services import data_changed

ACTOR = system("ingest")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Read and store. A refused file is a job done: the upload says why. Run twice, it changes nothing."""
    upload = Upload.objects.select_related("site").get(pk=claim.payload["upload_id"])

    def settle(patients: list[str]) -> None:
        if patients:
            data_changed(patient_ids=patients, by=ACTOR)
        finish(claim=claim, result={"patients": len(patients)}, by=ACTOR)

    if upload.state in {UploadState.STORED, UploadState.REFUSED}:
        settle([])
        return
    report(0.05, "reading the file")
    read_and_store(upload=upload, by=ACTOR, then=settle)
