"""Reading jobs: the list for the jobs page, one job, and whether some are over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet

from salus_web.accounts.permissions import Resource, authorize
from salus_web.common.clock import now
from salus_web.jobs.models import Job, JobState, Reconciler

OVER = (JobState.DONE, JobState.FAILED, JobState.QUARANTINED, JobState.CANCELLED)


def jobs(*, viewer: Any, state: str = "") -> QuerySet[Job]:
    """All jobs, newest first, of one state when asked."""
    authorize(viewer, "jobs.read", Resource("job"))
    rows = Job.objects.order_by("-created_at")
    return rows.filter(state=state) if state in JobState.values else rows


def counts(*, viewer: Any) -> dict[str, int]:
    """How many jobs are in each state (1 query)."""
    authorize(viewer, "jobs.read", Resource("job"))
    return dict(Job.objects.values_list("state").annotate(Count("pk")).order_by())


@dataclass(frozen=True, slots=True)
class Repairs:
    """What keeps jobs from getting lost: when it last looked, and whether that is too long ago."""

    row: Reconciler | None
    late: int

    @property
    def is_overdue(self) -> bool:
        """Nobody has looked for a minute (it looks every ten seconds), or never."""
        return self.row is None or now() - self.row.last_at > timedelta(minutes=1)


def repairs(*, viewer: Any) -> Repairs:
    """The reconciler's last round, and how many jobs run on a lapsed lease or wait unsent for over a minute (2 queries)."""
    authorize(viewer, "jobs.read", Resource("job"))
    unsent = Q(state=JobState.QUEUED, created_at__lt=now() - timedelta(minutes=1), outbox__published_at__isnull=True)
    late = Job.objects.filter(Q(state=JobState.RUNNING, lease_until__lt=now()) | unsent).count()
    return Repairs(Reconciler.objects.first(), late)


def job(*, viewer: Any, job_id: Any) -> Job | None:
    """One job (1 query)."""
    authorize(viewer, "jobs.read", Resource("job"))
    return Job.objects.filter(pk=job_id).first()


def unfinished(job_ids: Sequence[Any]) -> list[Job]:
    """Those of these jobs that are not over (1 query)."""
    return list(Job.objects.filter(pk__in=list(job_ids)).exclude(state__in=OVER).order_by("created_at"))


def newest_of_kind(*, kind: str, job_id: Any = None) -> Job | None:
    """The newest job of a kind, or the one of this id if it is of that kind (1 query). The caller asked for leave."""
    rows = Job.objects.filter(kind=kind)
    return (rows.filter(pk=job_id) if job_id else rows.order_by("-created_at")).first()
