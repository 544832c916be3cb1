"""Queueing, claiming, finishing and repairing jobs. The database is the queue of record; the broker may lose all."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from kombu.exceptions import OperationalError

from salus_web.accounts.actors import system
from salus_web.accounts.permissions import Resource, authorize
from salus_web.audit.services import Act, record
from salus_web.common import vault
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, StateConflict
from salus_web.jobs import leases
from salus_web.jobs.broker import answers
from salus_web.jobs.celery import RUN_JOB, configure
from salus_web.jobs.models import Job, JobState, Outbox, Reconciler

CRASH_LIMIT = 3
ATTEMPT_LIMIT = 10
RESEND_AFTER = timedelta(seconds=30)
STOPPABLE = frozenset({"train_task"})  # what may be left half done: an upload or a risk somebody waits for may not
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on a job until the lease ends; `fence` proves it."""

    job_id: str
    kind: str
    payload: dict[str, Any]
    fence: int


def enqueue(
    *, kind: str, unique_key: str, payload: dict[str, Any], by: Any, queue: str = "cpu", title: str = ""
) -> Job:
    """Write job, outbox row and audit event in one transaction; the same unique key returns the same job."""
    with transaction.atomic():
        job, made = Job.objects.get_or_create(
            unique_key=unique_key,
            defaults={
                "kind": kind, "queue": queue, "payload": payload, "title": title,
                "requested_by": by.id, "created_at": now(),
            },
        )  # fmt: skip
        if made:
            Outbox.objects.create(job=job, created_at=now())
            record(Act("job.queue", "job", str(job.pk), detail={"kind": kind}), by=by)
            transaction.on_commit(lambda: publish(job_id=str(job.pk)))
    return job


def publish(*, job_id: str) -> bool:
    """Send a job's id to the broker. A dead broker is no failure: the reconciler sends again."""
    job = Job.objects.get(pk=job_id)
    Outbox.objects.filter(job=job).update(tries=F("tries") + 1)
    if not answers(settings.CELERY_BROKER_URL):
        logger.warning("the broker does not answer; job %s will be sent again", job_id)
        return False
    try:
        configure().send_task(RUN_JOB, args=[job_id], queue=job.queue, retry=False)
    except (OperationalError, OSError):
        logger.warning("the broker did not take job %s; it will be sent again", job_id)
        return False
    Outbox.objects.filter(job=job).update(published_at=now())
    return True


@transaction.atomic
def claim(*, job_id: str, worker: str, device: str = "") -> Claim | None:
    """Take a job for one lease; None when it is done, gone, or held by a live worker."""
    job = Job.objects.select_for_update().filter(pk=job_id).first()
    if job is None or job.state not in {JobState.QUEUED, JobState.RUNNING}:
        return None
    moment = leases.moment()
    if job.state == JobState.RUNNING and job.lease_until is not None and job.lease_until > moment:
        return None
    if job.state == JobState.RUNNING:
        job.crashes += 1
        if job.crashes >= CRASH_LIMIT:
            _quarantine(job)
            return None
    job.state, job.worker, job.device = JobState.RUNNING, worker[:120], device[:120]
    job.attempts += 1
    job.fence += 1
    job.started_at = now()
    job.lease_until = moment + timedelta(seconds=settings.SALUS_LEASE_SECONDS)
    job.save()
    return Claim(str(job.pk), job.kind, job.payload, job.fence)


def _quarantine(job: Job) -> None:
    job.state, job.finished_at, job.lease_until = JobState.QUARANTINED, now(), None
    job.failure = f"The worker stopped {job.crashes} times while doing this, so it is set aside until a person looks."
    job.save()
    record(Act("job.quarantine", "job", str(job.pk), outcome="failed", detail={"kind": job.kind}), by=system("reconciler"))


def progress(*, claim: Claim, fraction: float, message: str) -> None:
    """Report progress and prolong the lease; StateConflict when another worker has taken over."""
    changed = Job.objects.filter(pk=claim.job_id, fence=claim.fence, state=JobState.RUNNING).update(
        progress=min(max(fraction, 0.0), 1.0) if fraction == fraction else 0.0,
        message=message[:400],
        lease_until=leases.lease_end(),
    )
    if not changed:
        raise StateConflict("Another worker has taken over this job, or it was cancelled.")


def heartbeat(*, claim: Claim) -> bool:
    """Prolong the lease; False when the job is no longer this worker's."""
    held = Job.objects.filter(pk=claim.job_id, fence=claim.fence, state=JobState.RUNNING)
    return bool(held.update(lease_until=leases.lease_end()))


def check_fence(*, claim: Claim) -> None:
    """Lock the job row and refuse a late worker. Call inside the transaction that stores the result."""
    held = Job.objects.select_for_update().filter(pk=claim.job_id, fence=claim.fence, state=JobState.RUNNING)
    if not held.exists():
        raise StateConflict("Another worker has taken over this job, or it was cancelled.")


@transaction.atomic
def finish(*, claim: Claim, result: dict[str, Any], by: Any) -> None:
    """Mark done. Call inside the transaction that stores the result."""
    check_fence(claim=claim)
    vault.settle()  # a row must not outlive the files that it names
    Job.objects.filter(pk=claim.job_id).update(
        state=JobState.DONE, finished_at=now(), lease_until=None, progress=1.0, message="", failure="", result=result
    )
    record(Act("job.done", "job", claim.job_id, detail={"kind": claim.kind}), by=by)


@transaction.atomic
def fail(*, claim: Claim, sentence: str, by: Any) -> None:
    """Mark failed with a sentence a person can act on."""
    check_fence(claim=claim)
    Job.objects.filter(pk=claim.job_id).update(
        state=JobState.FAILED, finished_at=now(), lease_until=None, failure=sentence
    )
    record(Act("job.fail", "job", claim.job_id, outcome="failed", detail={"kind": claim.kind}), by=by)


@transaction.atomic
def give_back(*, claim: Claim, by: Any) -> None:
    """Let go of a job whose reason to end lies outside of it (the database was away): it is sent again, and no crash counts."""
    check_fence(claim=claim)
    if Job.objects.get(pk=claim.job_id).attempts >= ATTEMPT_LIMIT:
        fail(claim=claim, sentence=f"The database went away each of the {ATTEMPT_LIMIT} times this was tried.", by=by)
        return
    Job.objects.filter(pk=claim.job_id).update(state=JobState.QUEUED, lease_until=None, worker="", progress=0.0, message="")
    Outbox.objects.filter(job_id=claim.job_id).update(published_at=None)
    record(Act("job.give_back", "job", claim.job_id, outcome="failed", detail={"kind": claim.kind}), by=by)


@transaction.atomic
def retry(*, job_id: str, by: Any) -> Job:
    """Put a failed or quarantined job back into the queue."""
    authorize(by, "jobs.retry", Resource("job", job_id))
    job = Job.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        raise Hidden("There is no such job.")
    if job.state not in {JobState.FAILED, JobState.QUARANTINED, JobState.CANCELLED}:
        raise StateConflict("Only a job that failed or was set aside can be tried again.")
    job.state, job.crashes, job.failure, job.progress, job.message = JobState.QUEUED, 0, "", 0.0, ""
    job.finished_at = None
    job.save()
    Outbox.objects.update_or_create(job=job, defaults={"created_at": now(), "published_at": None})
    record(Act("job.retry", "job", str(job.pk)), by=by)
    transaction.on_commit(lambda: publish(job_id=str(job.pk)))
    return job


@transaction.atomic
def stop(*, job_id: str, by: Any) -> Job:
    """Stop a training that waits or runs. Its worker notices at its next progress, and nothing of it is stored."""
    authorize(by, "jobs.stop", Resource("job", job_id))
    job = Job.objects.select_for_update().filter(pk=job_id).first()
    if job is None:
        raise Hidden("There is no such job.")
    if job.kind not in STOPPABLE or job.state not in {JobState.QUEUED, JobState.RUNNING}:
        raise StateConflict("Only a training that waits or runs can be stopped.")
    job.state, job.finished_at, job.lease_until = JobState.CANCELLED, now(), None
    job.failure = f"Stopped by {by.name}. Nothing of it was stored; it can be tried again."
    job.save()
    record(Act("job.stop", "job", str(job.pk), detail={"kind": job.kind}), by=by)
    return job


def reconcile() -> int:
    """Publish again what never arrived or whose worker died, and note that it was looked. Returns how many jobs were sent."""
    sent, moment = 0, leases.moment()
    overdue = now() - RESEND_AFTER
    shortened = _shorten_impossible(moment)
    waiting = Job.objects.filter(state=JobState.QUEUED).exclude(outbox__published_at__range=(overdue, now()))
    orphaned = Job.objects.filter(state=JobState.RUNNING, lease_until__lt=moment)
    for job_id in [*waiting.values_list("pk", flat=True)[:500], *orphaned.values_list("pk", flat=True)[:500]]:
        if not publish(job_id=str(job_id)):
            break  # a dead broker takes none of the others either; the next round tries again
        sent += 1
    _note_round(sent, shortened)
    return sent


def _shorten_impossible(moment: datetime) -> int:
    """A lease longer than any is given: the clock was set back since. Its worker prolongs it, or it lapses in its time."""
    longest = moment + timedelta(seconds=settings.SALUS_LEASE_SECONDS)
    slack = timedelta(seconds=5)
    return Job.objects.filter(state=JobState.RUNNING, lease_until__gt=longest + slack).update(lease_until=longest)


def _note_round(sent: int, shortened: int) -> None:
    """One row that the jobs page reads."""
    row, _ = Reconciler.objects.get_or_create(pk=1, defaults={"last_at": now()})
    told = {"last_sent": sent, "last_sent_at": now()} if sent else {}
    Reconciler.objects.filter(pk=row.pk).update(
        last_at=now(), rounds=F("rounds") + 1, sent=F("sent") + sent, shortened=F("shortened") + shortened, **told
    )
