"""Risks of some patients by one bundle: rows to snapshots, one batch through the model, results stored with receipts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from django.db import transaction
from salus_learn.contracts import RiskResult, RiskState, RiskTask
from salus_learn.scoring.account import failed
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle
from salus_web.accounts.actors import system
from salus_web.common.keyring import KeyGone
from salus_web.jobs.services import Claim, finish
from salus_web.predictions.selectors import answered_moments, trained_on
from salus_web.predictions.services import Outcome, ask_anew, store_results
from salus_web.registry.models import ModelBundle
from salus_web.registry.selectors import NotLive, why_silent

from salus_workers.adapters.cases import current_cases
from salus_workers.adapters.results import outcome_of
from salus_workers.adapters.snapshots import StoredCase
from salus_workers.runtime.model_cache import loaded

ACTOR = system("predict")
BATCH = 64
NOBODY = "nobody with a stay of the kind that the model is for who allows it"
ASKED_THEN, ASK_THEN = "It is asked again by itself then.", "Please ask again then."
SEEN = "The model was trained on this patient, so it is likely to be surer of this risk than it should be."


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Score in batches; all results are stored in one transaction with the end of the job. Where the model went off duty, before
    or meanwhile, the one that is live now is asked instead."""
    row = ModelBundle.objects.select_related("task").get(pk=claim.payload["bundle_id"])
    try:
        _judge(claim, report, row)
    except NotLive:
        ask_anew(claim=claim, bundle=row, by=ACTOR)


def _judge(claim: Claim, report: Callable[[float, str], None], row: ModelBundle) -> None:
    silent = why_silent(row)
    if silent:
        raise NotLive(silent)
    bundle = loaded(row)
    patient_ids = claim.payload["patient_ids"]
    outcomes: list[Outcome] = []
    for part in _batches(patient_ids):
        report(len(outcomes) / max(len(patient_ids), 1), "judging the patients")
        outcomes += _outcomes(row, bundle, _readable(row, bundle.model.task, part))
    with transaction.atomic():
        if outcomes:
            store_results(claim=claim, bundle=row, outcomes=outcomes, origin="live", by=ACTOR)
        else:
            finish(claim=claim, result={"predictions": 0, "why": NOBODY}, by=ACTOR)


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]


def _readable(row: ModelBundle, task: RiskTask, part: Sequence[str]) -> list[StoredCase]:
    """The cases of these patients. While one of them is being erased, the key goes before the rows: the others are read alone."""
    try:
        return current_cases(task, ACTOR, part, answered=answered_moments(bundle=row, patient_ids=part, viewer=ACTOR))
    except KeyGone:
        return [case for one in part for case in _readable(row, task, [one])] if len(part) > 1 else []


def _outcomes(row: ModelBundle, bundle: Bundle, cases: Sequence[StoredCase]) -> list[Outcome]:
    """What is stored; a patient the model was trained on is marked as such."""
    ready = [case for case in cases if case.is_asked]
    seen = trained_on(bundle=row, patient_ids=[case.patient_id for case in ready], viewer=ACTOR)
    results = score(bundle, [case.snapshot for case in ready]) if ready else []
    found = [outcome_of(case, _marked(result) if case.patient_id in seen else result) for case, result in zip(ready, results, strict=True)]
    then = ASKED_THEN if row.requests_on_new_data else ASK_THEN
    whys = [(case, case.already or f"{case.too_early} {then}") for case in cases if not case.is_asked]
    return found + [outcome_of(case, failed(bundle.model, case.snapshot.key, why, bundle.digest)) for case, why in whys]


def _marked(result: RiskResult) -> RiskResult:
    """With the sentence that doubts it, beside any other that stands there; where there is no risk there is nothing to doubt."""
    return result if result.state == RiskState.FAILED else replace(result, why=f"{result.why} {SEEN}".strip())
