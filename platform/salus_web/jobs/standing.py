"""How the workers and their queues stand, for the operations page: who lives, what waits, what was sent again or set aside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min

from salus_web.accounts.permissions import Resource, authorize
from salus_web.common.clock import now
from salus_web.jobs.celery import QUEUES
from salus_web.jobs.models import Job, JobState, Measure, Outbox, Worker
from salus_web.jobs.workers import SAID_EVERY_SECONDS

MISSED_AFTER = timedelta(seconds=3 * SAID_EVERY_SECONDS)
SHOWN_AFTER_END = timedelta(days=1)
ROWS = 20


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """One worker: whether it lives, and what it does at this moment."""

    row: Worker
    is_alive: bool
    doing: list[Job]

    @property
    def is_missed(self) -> bool:
        """It neither speaks nor said that it ends."""
        return not self.is_alive and self.row.ended_at is None


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue: how many jobs wait in it, and since when the oldest; how many run."""

    name: str
    waiting: int
    oldest: datetime | None
    running: int


def workers(*, viewer: Any) -> list[WorkerNow]:
    """Every worker of the last days with what it does, the living first (2 queries)."""
    authorize(viewer, "operations.read", Resource("worker"))
    moment, running = now(), list(Job.objects.filter(state=JobState.RUNNING).defer("payload", "result")[:200])
    rows = Worker.objects.exclude(ended_at__lt=moment - SHOWN_AFTER_END).order_by("name")
    found = [
        WorkerNow(
            row, row.ended_at is None and moment - row.seen_at <= MISSED_AFTER,
            [job for job in running if job.worker.rpartition(":")[0] == row.name],
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda one: (not one.is_alive, one.row.name))


def queues(*, viewer: Any) -> list[Queue]:
    """Every queue there should be, and any other that jobs wait in (1 query)."""
    authorize(viewer, "operations.read", Resource("queue"))
    live = Job.objects.filter(state__in=(JobState.QUEUED, JobState.RUNNING)).order_by().values_list("queue", "state")
    found = {(queue, state): (number, oldest) for queue, state, number, oldest in live.annotate(Count("pk"), Min("created_at"))}
    names = [*QUEUES, *sorted({queue for queue, _ in found} - set(QUEUES))]
    nothing = (0, None)
    return [
        Queue(name, *found.get((name, JobState.QUEUED), nothing), found.get((name, JobState.RUNNING), nothing)[0]) for name in names
    ]


def set_aside(*, viewer: Any) -> list[Job]:
    """Jobs that failed or were set aside, the newest 20 (1 query)."""
    authorize(viewer, "operations.read", Resource("job"))
    rows = Job.objects.filter(state__in=(JobState.FAILED, JobState.QUARANTINED)).defer("payload", "result")
    return list(rows.order_by("-created_at")[:ROWS])


def sent_again(*, viewer: Any) -> list[Outbox]:
    """Jobs that had to be sent more than once, the newest 20, each with its job (1 query)."""
    authorize(viewer, "operations.read", Resource("job"))
    rows = Outbox.objects.select_related("job").defer("job__payload", "job__result").filter(tries__gt=1)
    return list(rows.order_by("-created_at")[:ROWS])


def measures(*, viewer: Any) -> dict[str, Measure]:
    """The figures that a worker found last, by name (1 query)."""
    authorize(viewer, "operations.read", Resource("measure"))
    return {row.name: row for row in Measure.objects.all()}
