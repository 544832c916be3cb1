"""Leases keep the database's time, a clock that was set back holds no job, and the page says when lost jobs were last looked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from salus_web.common.clock import now
from salus_web.jobs import leases, services
from salus_web.jobs.models import Job, JobState, Reconciler
from salus_web.jobs.selectors import repairs
from salus_web.jobs.services import claim, heartbeat, reconcile

from tests.factories.people import SYSTEM, actor_of, make_site, make_user
from tests.web.test_jobs import Broker, broker, claimed, lapse, queued, stored  # noqa: F401 - the broker is a fixture

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_a_lease_from_before_the_clock_was_set_back_lapses_in_its_time(broker: Broker) -> None:  # noqa: F811
    job = queued()
    held = claimed(job)
    Job.objects.filter(pk=job.pk).update(lease_until=now() + HOUR)
    reconcile()
    left = stored(job).lease_until
    assert left is not None and left <= now() + timedelta(seconds=settings.SALUS_LEASE_SECONDS)
    assert Reconciler.objects.get().shortened == 1
    assert heartbeat(claim=held), "a worker that lives keeps its job"
    lapse(job)
    assert claim(job_id=str(job.pk), worker="second") is not None


def test_a_job_sent_in_the_future_is_sent_again(broker: Broker) -> None:  # noqa: F811
    job = queued()
    type(job.outbox).objects.update(published_at=now() + HOUR)
    assert reconcile() == 1 and len(broker.sent) == 1


@pytest.mark.parametrize("wrong", [-HOUR, HOUR])
def test_a_worker_with_a_wrong_clock_neither_loses_nor_steals_a_job(monkeypatch: pytest.MonkeyPatch, wrong: timedelta) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no clock of its own: all its processes share the machine's")

    def late_clock() -> datetime:
        return datetime.now(UTC) + wrong

    job = queued()
    claimed(job)
    monkeypatch.setattr(services, "now", late_clock)
    monkeypatch.setattr(leases, "now", late_clock)
    assert claim(job_id=str(job.pk), worker="wrong clock") is None, "the lease of another is not lapsed"
    lapse(job)
    assert claim(job_id=str(job.pk), worker="wrong clock") is not None
    monkeypatch.undo()
    assert claim(job_id=str(job.pk), worker="right clock") is None, "the lease of a wrong clock is as long as any"


def test_what_was_repaired_is_told(broker: Broker) -> None:  # noqa: F811
    person = actor_of(make_user("administrator", make_site()))
    assert repairs(viewer=person).is_overdue, "never looked is not well"
    reconcile()
    assert not repairs(viewer=person).is_overdue and repairs(viewer=person).late == 0
    job = queued()
    claimed(job)
    lapse(job)
    assert repairs(viewer=person).late == 1
    assert reconcile() == 1
    row = Reconciler.objects.get()
    assert (row.sent, row.last_sent) == (1, 1) and row.rounds == 2
    Reconciler.objects.update(last_at=now() - timedelta(minutes=2))
    assert repairs(viewer=person).is_overdue
    Job.objects.update(state=JobState.DONE)
    assert repairs(viewer=person).late == 0


def test_the_page_says_whether_anybody_looks(client: Client, broker: Broker) -> None:  # noqa: F811
    client.force_login(make_user("administrator", make_site()))
    assert "nobody looks for lost jobs" in client.get("/jobs/").content.decode()
    queued(by=SYSTEM)
    reconcile()
    page = client.get("/jobs/").content.decode()
    assert "Lost jobs are looked for every ten seconds" in page and "nobody looks" not in page
