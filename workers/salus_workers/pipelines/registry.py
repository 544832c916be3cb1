"""Which pipeline does which kind of job. A kind that is not here fails in words."""

from __future__ import annotations

from collections.abc import Callable

from salus_web.jobs.services import Claim

from salus_workers.pipelines import (
    ingest_upload,
    load_cases,
    load_task,
    predict,
    prepare_release,
    replay_prediction,
    retention_run,
    train_task,
    verify_log,
)

Pipeline = Callable[[Claim, Callable[[float, str], None]], None]

PIPELINES: dict[str, Pipeline] = {
    "ingest_upload": ingest_upload.run,
    "load_cases": load_cases.run,
    "load_task": load_task.run,
    "train_task": train_task.run,
    "predict": predict.run,
    "prepare_release": prepare_release.run,
    "verify_log": verify_log.run,
    "replay": replay_prediction.run,
    "retention_run": retention_run.run,
}
