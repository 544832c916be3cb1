"""Trains a task on the stored cases, keeps the bundle, and gives every patient an out-of-fold risk."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import transaction
from salus_learn.contracts import Case, RiskTask
from salus_learn.imaging.memory import give_back_freed_memory
from salus_learn.reporting.page import content_policy
from salus_learn.reporting.write import write_report
from salus_learn.tasks.loader import task_from_text
from salus_learn.training.train import Trained, train
from salus_web.accounts.actors import system
from salus_web.common import wall
from salus_web.ingest.models import Upload
from salus_web.jobs.services import Claim
from salus_web.predictions.services import store_results
from salus_web.records.scopes import TRAINING, purpose_key
from salus_web.registry.models import TaskFile
from salus_web.registry.selectors import task_file
from salus_web.registry.services import store_bundle, store_reports

from salus_workers.adapters.cases import people_left_out, stored_cases
from salus_workers.adapters.results import outcome_of
from salus_workers.adapters.snapshots import StoredCase, as_training
from salus_workers.adapters.taught import Counted, no_case, of_table, readable

ACTOR = system("train_task")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Train on the cases of those who allow it, in a temporary folder; bundle and risks are stored in one transaction."""
    kept = task_file(claim.payload["task_file_id"])
    task = task_from_text(kept.text, name=kept.task_id)
    # of a case table only who its upload held: whoever was taken out of the table since, or is excluded, teaches nothing
    left_out = people_left_out(task, ACTOR, purpose=TRAINING, upload_id=claim.payload.get("upload_id", ""))
    # from here on the database itself answers nothing of anybody who does not allow training
    with wall.reading_for(purpose_key(TRAINING)):
        _train(claim, report, kept, task, left_out)


def _train(claim: Claim, report: Callable[[float, str], None], kept: TaskFile, task: RiskTask, left_out: int) -> None:
    upload_id = claim.payload.get("upload_id", "")
    cases = stored_cases(task, ACTOR, purpose=TRAINING, upload_id=upload_id)
    table = of_table(Upload.objects.get(pk=upload_id).counts if upload_id else {})
    with tempfile.TemporaryDirectory(prefix="salus-train-") as place:
        folder = Path(place) / "bundle"
        repeats = claim.payload.get("repeats")  # none asked for: as thorough as the library is of itself
        taught = readable(task, as_training(cases))
        trained = train(task, taught, folder, repeats=repeats, stress=repeats is None, report=report)
        files = _reports(trained, Path(place) / "report", left_out=table["left_out"] + no_case(task, cases, taught), taken=table["taken"])
        give_back_freed_memory()
        with transaction.atomic():
            _store(claim, kept, folder, trained, cases, taught, files, left_out)


def _store(
    claim: Claim, kept: TaskFile, folder: Path, trained: Trained, cases: list[StoredCase], taught: list[Case], files: dict[str, bytes],
    left_out: int,
) -> None:
    bundle = store_bundle(
        digest=trained.digest, task=kept, archive=_tar(folder), card=json.loads((folder / "card.json").read_text()),
        crossval=trained.crossval, asked_by=claim.payload.get("asked_by", ""), by=ACTOR,
        people=[case.snapshot.person for case in taught], left_out=left_out,
    )  # fmt: skip
    store_reports(bundle=bundle, files=files, policy=content_policy(), by=ACTOR)
    by_key = {case.snapshot.key: case for case in cases}
    outcomes = [outcome_of(by_key[result.key], result, fold=trained.fold_of[result.key]) for result in trained.out_of_fold]
    store_results(claim=claim, bundle=bundle, outcomes=outcomes, origin="out_of_fold", by=ACTOR)


def _reports(trained: Trained, folder: Path, *, left_out: Counted, taken: Counted) -> dict[str, bytes]:
    """The report in its three forms; it says when the people are simulated, how many cases were none for it (`left_out`) and how
    many are taken for without the outcome (`taken`)."""
    task = replace(trained.judged.task, simulated=settings.SALUS_SIMULATED, left_out=left_out, taken=taken)
    judged = replace(trained.judged, task=task)
    written = write_report(judged, folder)
    return {"html": written.html.read_bytes(), "pdf": written.pdf.read_bytes(), "json": written.json.read_bytes()}


def _tar(folder: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=path.name)
    return stream.getvalue()
