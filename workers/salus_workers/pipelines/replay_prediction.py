"""Recomputes a stored risk from its receipt: by hand (`manage.py replay`) or as a job asked for on the page."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from django.db import transaction
from salus_learn.scoring.replay import replay
from salus_web.accounts.actors import system
from salus_web.common import vault
from salus_web.common.errors import IntegrityBroken, StateConflict
from salus_web.imaging.models import Rendition
from salus_web.jobs.services import Claim, finish
from salus_web.predictions.models import Prediction

from salus_workers.adapters.receipts import changed_since
from salus_workers.runtime.model_cache import loaded

ACTOR = system("replay")


def run(claim: Claim, report: Callable[[float, str], None]) -> None:
    """Replay one prediction or several; the job's result says whether they came out again."""
    ids = claim.payload.get("prediction_ids") or [claim.payload["prediction_id"]]
    differences: list[str] = []
    for number, prediction_id in enumerate(ids):
        report(number / len(ids), "recomputing from the receipt")
        found = replay_stored(prediction_id)
        differences += [f"{prediction_id}: {sentence}" for sentence in found] if len(ids) > 1 else found
    with transaction.atomic():
        result = {"agrees": not differences, "replayed": len(ids), "differences": differences[:20]}
        finish(claim=claim, result=result, by=ACTOR)


def replay_stored(prediction_id: str) -> list[str]:
    """Sentences that name each difference: between the stored risk and its receipt, and between the receipt and what comes out
    of it now. Raises StateConflict where there is nothing to replay, and IntegrityBroken when an image, the model or the
    receipt is not what was stored."""
    row = Prediction.objects.for_actor(ACTOR).select_related("bundle", "bundle__task").filter(pk=prediction_id).first()
    if row is None or not row.receipt_key:
        raise StateConflict("There is no such risk, or it has no receipt.")
    receipt = orjson.loads(vault.get(row.receipt_key, sha256=row.receipt_sha256))
    # a stay that the model could not speak of yet was never scored
    again = replay(loaded(row.bundle), receipt, _pixels(receipt)) if receipt.get("scored", True) else []
    return changed_since(row, receipt) + again


def _pixels(receipt: dict[str, Any]) -> dict[str, np.ndarray]:
    """Each image's model rendition, tied by hash to the instance that the receipt names."""
    wanted = {entry["instance"]: entry["sha256"] for entry in receipt["snapshot"]["images"]}
    rows = Rendition.objects.for_actor(ACTOR).filter(kind="model", instance_id__in=list(wanted))
    found = {}
    for row in rows:
        if row.original_sha256 != wanted[str(row.instance_id)]:
            raise IntegrityBroken("An image of this risk is not the one it was made from.")
        raw = vault.get(row.blob_key, sha256=row.blob_sha256)
        found[str(row.instance_id)] = np.load(io.BytesIO(raw), allow_pickle=False)
    if set(found) != set(wanted):
        raise IntegrityBroken("An image that this risk was made from is gone.")
    return found
