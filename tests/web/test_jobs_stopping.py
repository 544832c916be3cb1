"""Stopping a training: what is stopped, and that nothing of it is stored."""

from __future__ import annotations

import pytest
from salus_web.audit.models import Event
from salus_web.common.errors import StateConflict
from salus_web.jobs import services
from salus_web.jobs.models import Job, JobState
from salus_web.jobs.services import retry

from tests.factories.people import SYSTEM
from tests.web.test_jobs import claimed, queued, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING])
def test_a_training_is_stopped_and_its_worker_stores_nothing(state: str) -> None:
    job = queued()
    Job.objects.filter(pk=job.pk).update(kind="train_task")
    held = claimed(job) if state == JobState.RUNNING else None
    services.stop(job_id=str(job.pk), by=SYSTEM)
    kept = stored(job)
    assert kept.state == JobState.CANCELLED and "Stopped by" in kept.failure
    assert Event.objects.filter(action="job.stop", object_id=str(job.pk)).exists()
    if held is not None:
        with pytest.raises(StateConflict):
            services.progress(claim=held, fraction=0.5, message="fold 3")
        with pytest.raises(StateConflict):
            services.finish(claim=held, result={}, by=SYSTEM)
    assert services.claim(job_id=str(job.pk), worker="late") is None
    assert retry(job_id=str(job.pk), by=SYSTEM).state == JobState.QUEUED


@pytest.mark.parametrize(("kind", "state"), [("ingest_upload", JobState.RUNNING), ("predict", JobState.QUEUED), ("train_task", JobState.DONE)])
def test_nothing_else_is_stopped(kind: str, state: str) -> None:
    job = queued()
    Job.objects.filter(pk=job.pk).update(kind=kind, state=state)
    with pytest.raises(StateConflict, match="Only a training"):
        services.stop(job_id=str(job.pk), by=SYSTEM)
    assert stored(job).state == state
