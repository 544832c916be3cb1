"""Registering task files and bundles; moving a bundle between its states. Every step is kept with its person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from salus_web.accounts.actors import system
from salus_web.accounts.permissions import Resource, authorize, can
from salus_web.accounts.selectors import actor_by_id
from salus_web.accounts.two_people import check_two_people
from salus_web.audit.services import Act, record
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, Refused, StateConflict
from salus_web.records.models import Patient
from salus_web.records.scopes import TRAINING
from salus_web.registry.models import (
    BundlePerson,
    BundleReport,
    BundleState,
    BundleStep,
    ModelBundle,
    TaskFile,
)

_MEMBERS = system("registry")
ANOTHER_FILE = (
    "There is a live model of “{}” here, and this task file is not the one that it was trained by. Give the question another id, or "
    "ask an administrator to bring the table."
)  # fmt: skip
MOVES = {
    BundleState.CANDIDATE: {BundleState.LIVE, BundleState.WITHDRAWN},
    BundleState.LIVE: {BundleState.RETIRED, BundleState.WITHDRAWN},
    BundleState.RETIRED: {BundleState.LIVE, BundleState.WITHDRAWN},
    BundleState.WITHDRAWN: set(),
}


@transaction.atomic
def register_task_file(*, text: str, task_id: str, title: str, digest: str, by: Any, brought_by: str = "") -> TaskFile:
    """Keep a task file; the same digest is kept once. `brought_by` is the id of whoever brought it, where `by` is the machine.

    Raises BadInput for another file of a question that has a live model, unless an administrator or a command brings it."""
    _check_may_bring(task_id, digest, brought_by or by.id)
    task, made = TaskFile.objects.get_or_create(
        digest=digest,
        defaults={"task_id": task_id, "title": title, "text": text, "loaded_by": by.id, "loaded_at": now()},
    )
    if made:
        record(Act("task.register", "task", str(task.pk), detail={"task": task_id}), by=by)
    return task


def _check_may_bring(task_id: str, digest: str, brought_by: str) -> None:
    """At most 4 queries."""
    by = actor_by_id(brought_by)
    if by.is_system or can(by, "models.promote") or TaskFile.objects.filter(digest=digest).exists():
        return
    if ModelBundle.objects.filter(task__task_id=task_id, state=BundleState.LIVE).exists():
        raise BadInput(ANOTHER_FILE.format(task_id))


@transaction.atomic
def store_bundle(
    *, digest: str, task: TaskFile, archive: bytes, card: dict[str, Any], crossval: dict[str, Any], by: Any,
    asked_by: str = "", people: Sequence[str] = (), left_out: int | None = None,
) -> ModelBundle:
    """Keep a trained bundle as a candidate; `archive` is its folder as a tar. `asked_by` is the id of the person whose
    cases or task file it was trained on: they may not make it live. `people` are the ids of the patients it was trained
    on, `left_out` how many more had cases and do not allow training.

    Raises StateConflict when one of these people has taken training back, or was erased, while it was trained.
    """
    _check_still_allowed(people)
    kept = ModelBundle.objects.filter(digest=digest).first()
    if kept is not None:
        return kept
    blob = vault.put(archive)
    bundle, made = ModelBundle.objects.get_or_create(
        digest=digest,
        defaults={
            "task": task, "card": card, "crossval": crossval, "blob_key": blob.key, "blob_sha256": blob.sha256,
            "trained_by": asked_by or by.id, "trained_at": now(), "left_out_people": left_out,
        },
    )  # fmt: skip
    if made:
        BundlePerson.objects.bulk_create([BundlePerson(bundle=bundle, patient_id=key) for key in sorted(set(people))], batch_size=500)
        record(Act("bundle.store", "bundle", str(bundle.pk), detail={"digest": digest[:16]}), by=by)
    return bundle


def _check_still_allowed(people: Sequence[str]) -> None:
    wanted = set(people)
    allowed = Patient.objects.for_actor(_MEMBERS).for_purpose(TRAINING).values_list("pk", flat=True)
    if wanted and wanted - {str(key) for key in allowed}:
        raise StateConflict("Consents have changed while this model was trained, so it was not kept. Please train it anew.")


@transaction.atomic
def store_reports(*, bundle: ModelBundle, files: dict[str, bytes], policy: str, by: Any) -> None:
    """Keep a bundle's report by its forms (html, pdf, json), once."""
    for form, body in files.items():
        if bundle.reports.filter(form=form).exists():
            continue
        blob = vault.put(body)
        BundleReport.objects.create(bundle=bundle, form=form, policy=policy, blob_key=blob.key, blob_sha256=blob.sha256)
    record(Act("bundle.report", "bundle", str(bundle.pk), detail={"forms": sorted(files)}), by=by)


@transaction.atomic
def move_bundle(*, bundle: ModelBundle, to_state: str, why: str, by: Any) -> ModelBundle:
    """Move a bundle to another state. Nobody makes live what they trained themselves; the one that was live retires."""
    authorize(by, "models.promote", Resource("bundle", str(bundle.pk)))
    # two promotions for one question wait for each other here, so that two bundles are never live at once
    # (no_key: what only points at these rows, such as a trained bundle that is being stored, does not wait for it)
    list(TaskFile.objects.select_for_update(no_key=True).filter(task_id=bundle.task.task_id).order_by("pk"))
    bundle = ModelBundle.objects.select_for_update(no_key=True).get(pk=bundle.pk)
    if to_state not in MOVES[BundleState(bundle.state)]:
        raise StateConflict(f"A bundle that is {bundle.get_state_display().lower()} cannot become {to_state}.")
    if to_state == BundleState.LIVE and by.id == bundle.trained_by:
        raise Refused("A second person has to make a model live: you trained this one.")
    if to_state == BundleState.LIVE:
        check_two_people(one=bundle.trained_by, other=by.id)
        live = ModelBundle.objects.filter(task__task_id=bundle.task.task_id, state=BundleState.LIVE)
        for other in live.exclude(pk=bundle.pk):
            _step(other, "retired", "another bundle of the task was made live", by)
    return _step(bundle, str(to_state), why, by)


def _step(bundle: ModelBundle, to_state: str, why: str, by: Any) -> ModelBundle:
    BundleStep.objects.create(
        bundle=bundle, from_state=bundle.state, to_state=to_state, by=by.id, by_name=by.name, why=why, at=now()
    )
    bundle.state = to_state
    bundle.save(update_fields=["state"])
    record(Act("bundle.move", "bundle", str(bundle.pk), detail={"to": to_state}), by=by)
    return bundle
