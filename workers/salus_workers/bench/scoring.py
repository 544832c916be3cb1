"""Stored predictions per second beside the bare limit, in turns in one run."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np
from salus_learn.features.columns import matrix, read_all
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle
from salus_web.accounts.actors import system
from salus_web.common.ids import new_id
from salus_web.jobs.services import claim, enqueue
from salus_web.registry.models import ModelBundle

from salus_workers.adapters.cases import current_cases
from salus_workers.pipelines import predict
from salus_workers.runtime.model_cache import loaded

BY = system("bench")
BATCH = 8


def measure(row: ModelBundle, patient_ids: list[str], rounds: int, say: Any) -> dict[str, Any]:
    """Product: rows → snapshots → score → reasons → stored with receipt, maps and audit. Limit: ONNX Runtime fp32 over
    the same prepared pixels in batches of 8, and TreeSHAP over the same matrix. Medians over rounds, in turns."""
    bundle = loaded(row)
    cases = current_cases(bundle.model.task, BY, patient_ids)
    snapshots = [case.snapshot for case in cases]
    x = matrix(bundle.model.task, bundle.model.schema, read_all(bundle.model.task, snapshots))  # (n, d)
    images = sum(len(snapshot.images) for snapshot in snapshots)
    side = bundle.model.task.images[0].side if images else 0
    pixels = np.random.default_rng(0).uniform(-1, 1, (images, 3, side, side)).astype(np.float32)  # (images, 3, S, S)
    product, limit, explain = [], [], []
    _product(row, patient_ids)
    for number in range(rounds):
        say(f"scoring, round {number + 1} of {rounds}")
        limit.append(_seconds(lambda: _limit(bundle, pixels, x)))
        product.append(_seconds(lambda: _product(row, patient_ids)))
        explain.append(_seconds(lambda: score(bundle, snapshots[:1])))
    rates = {"product": len(cases) / statistics.median(product), "limit": len(cases) / statistics.median(limit)}
    return {
        "patients": len(cases), "images": images, "rounds": rounds,
        "stored_predictions_per_s": round(rates["product"], 1), "bare_limit_per_s": round(rates["limit"], 1),
        "ratio_to_limit": round(rates["product"] / rates["limit"], 3),
        "one_patient_scored_and_explained_ms": round(1000 * statistics.median(explain), 1),
    }  # fmt: skip


def _seconds(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _product(row: ModelBundle, patient_ids: list[str]) -> None:
    """The `predict` pipeline as a worker runs it."""
    payload = {"bundle_id": str(row.pk), "patient_ids": patient_ids}
    job = enqueue(kind="predict", unique_key=f"bench:{new_id()}", payload=payload, by=BY)
    held = claim(job_id=str(job.pk), worker="bench")
    if held is None:
        raise RuntimeError("the bench could not claim its own job")
    predict.run(held, lambda fraction, message: None)


def _limit(bundle: Bundle, pixels: np.ndarray, x: np.ndarray) -> None:
    """As few steps as the same numbers can be had with."""
    if bundle.encoder is not None:
        for start in range(0, len(pixels), BATCH):
            bundle.encoder.run(pixels[start : start + BATCH])
    if bundle.model.trees is not None:
        bundle.model.trees.contributions(x)
