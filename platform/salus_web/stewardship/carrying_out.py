"""Carrying out a retention run that two people agreed to: each person in a transaction of its own, looked at once more first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db import transaction

from salus_web.audit.services import Act, record
from salus_web.common import vault
from salus_web.common.errors import StateConflict
from salus_web.records.holds import live_holds
from salus_web.records.models import Patient
from salus_web.stewardship.due import is_due
from salus_web.stewardship.erasing import erase_person
from salus_web.stewardship.holdings import KEEPER, delete_of
from salus_web.stewardship.models import Decision, RetentionItem, RetentionRun
from salus_web.stewardship.rules import rules_now

HELD, NOT_DUE, GONE_BEFORE = "held: a legal hold stands", "left: no longer due", "left: erased before"


def carry_out(*, run_id: Any, report: Callable[[float, str], None], by: Any) -> dict[str, int]:
    """Do what was agreed; returns how many items went and how many were left. Killed anywhere, it goes on where it was.

    Never goes beyond what the second person read: only what the dry run lists, and only while it is still due by the run's
    rules and by those of now. Raises StateConflict for a run that nobody agreed to.
    """
    run = RetentionRun.objects.get(pk=run_id)
    if run.state not in {Decision.AGREED, Decision.DONE}:
        raise StateConflict("Nobody agreed to this retention run.")
    rows = RetentionItem.objects.for_actor(KEEPER).filter(run=run)
    items = list(rows.filter(outcome="").order_by("pk"))
    for number, item in enumerate(items):
        report(number / len(items), "erasing")
        _one(item, run, by)
    outcomes = list(rows.values_list("outcome", flat=True))
    gone = sum(words.startswith("gone") for words in outcomes)
    return {"gone": gone, "left": len(outcomes) - gone}


@transaction.atomic
def _one(item: RetentionItem, run: RetentionRun, by: Any) -> None:
    """One person and kind: done, or left for a reason, in one transaction with the note of it."""
    patient = Patient.objects.for_actor(KEEPER).select_for_update().get(pk=item.patient_id)
    words = _why_not(item, run, patient)
    if not words:
        rows, files = _do(item, patient, by)
        words = f"gone: {rows} rows, {files} files"
    RetentionItem.objects.for_actor(KEEPER).filter(pk=item.pk).update(outcome=words)


def _why_not(item: RetentionItem, run: RetentionRun, patient: Patient) -> str:
    if patient.erased_at is not None:
        return GONE_BEFORE
    if item.held or live_holds(patient_ids=[patient.pk]):
        return HELD
    agreed, now = run.rules.get(item.kind), rules_now()[item.kind]
    both = agreed is not None and now is not None
    return "" if both and is_due(patient_id=patient.pk, years=max(agreed or 0, now or 0)) else NOT_DUE


def _do(item: RetentionItem, patient: Patient, by: Any) -> tuple[int, int]:
    if item.kind == "record":
        gone = erase_person(patient=patient, reason="Kept for as long as the rule says.", by=by)
        return gone.rows, gone.files
    gone, files = delete_of(patient.pk, item.kind)
    record(Act("retention.delete", "patient", str(patient.pk), patient.pseudonym, detail={"kind": item.kind, "rows": gone.rows}), by=by)
    transaction.on_commit(partial(_remove, files))
    return gone.rows, gone.files


def _remove(files: list[str]) -> None:
    for key in files:
        vault.delete(key)


def close_run(*, run_id: Any, by: Any) -> None:
    """Say that a run is done, in the caller's transaction."""
    RetentionRun.objects.filter(pk=run_id, state=Decision.AGREED).update(state=Decision.DONE)
    record(Act("retention.done", "run", str(run_id)), by=by)
