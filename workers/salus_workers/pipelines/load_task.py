"""A task file over stays is checked and registered; then its training is queued. Case tables come by load_cases."""

from __future__ import annotations

from collections.abc import Callable

from django.db import transaction
from salus_learn.tasks.loader import task_from_text
from salus_learn.tasks.moments import index_hours
from salus_web.accounts.actors import system
from salus_web.jobs.services import Claim, enqueue, finish
from salus_web.registry.services import register_task_file

ACTOR = system("load_task")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Register the task file in the payload and queue its training. Raises TaskError with the sentence."""
    task = task_from_text(claim.payload["text"], name=claim.payload.get("name", "the task file"))
    index_hours(task)
    asked_by = claim.payload.get("asked_by", "")
    report(0.5, "the task file was read")
    with transaction.atomic():
        kept = register_task_file(
            text=task.source_text, task_id=task.id, title=task.title, digest=task.digest, by=ACTOR, brought_by=asked_by
        )
        training = enqueue(
            kind="train_task", unique_key=f"train:{kept.pk}:{claim.job_id}", queue="gpu",
            payload={"task_file_id": str(kept.pk), "repeats": claim.payload.get("repeats"), "asked_by": asked_by},
            title=f"Training: {task.title}", by=ACTOR,
        )  # fmt: skip
        finish(claim=claim, result={"task": task.id, "training": str(training.pk)}, by=ACTOR)
