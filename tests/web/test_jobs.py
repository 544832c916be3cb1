"""The queue of record: a job is queued once, done by one worker at a time, and found again whatever the broker loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from django.db import transaction
from kombu.exceptions import OperationalError
from salus_web.audit.models import Event
from salus_web.common.clock import now
from salus_web.common.errors import Hidden, LogNotWritten, StateConflict
from salus_web.common.ids import new_id
from salus_web.jobs import services
from salus_web.jobs.celery import QUEUES, RUN_JOB, configure
from salus_web.jobs.models import Job, JobState, Outbox
from salus_web.jobs.services import Claim, claim, enqueue, reconcile, retry

from tests.factories.people import SYSTEM, actor_of, make_site, make_user

pytestmark = pytest.mark.django_db
OVER = [JobState.DONE, JobState.FAILED, JobState.QUARANTINED, JobState.CANCELLED]
LATE_WORK: dict[str, Callable[[Claim], None]] = {
    "progress": lambda held: services.progress(claim=held, fraction=0.5, message="half"),
    "check_fence": lambda held: services.check_fence(claim=held),
    "finish": lambda held: services.finish(claim=held, result={"by": "the late one"}, by=SYSTEM),
    "fail": lambda held: services.fail(claim=held, sentence="the late one failed", by=SYSTEM),
}


class Broker:
    """Keeps what was sent, in place of the Celery object."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.error: Exception | None = None

    def send_task(self, name: str, *, args: list[str], queue: str, retry: bool) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((name, args[0], queue))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker()
    monkeypatch.setattr("salus_web.jobs.services.configure", lambda: found)
    return found


@pytest.fixture
def dead_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """A real client of a real address at which nobody listens."""
    with Celery("dead", broker="redis://127.0.0.1:1/0", set_as_current=False) as app:
        monkeypatch.setattr("salus_web.jobs.services.configure", lambda: app)
        yield app


def queued(key: str = "one", **changes: Any) -> Job:
    values: dict[str, Any] = {"kind": "trial", "unique_key": key, "payload": {"n": 1}, "by": SYSTEM}
    return enqueue(**(values | changes))


def claimed(job: Job, worker: str = "first") -> Claim:
    held = claim(job_id=str(job.pk), worker=worker)
    assert held is not None
    return held


def lapse(job: Job) -> None:
    """Let the lease end, as when the worker died."""
    Job.objects.filter(pk=job.pk).update(lease_until=now() - timedelta(seconds=1))


def stored(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def published(job: Job, *, seconds_ago: float) -> None:
    Outbox.objects.filter(job=job).update(published_at=now() - timedelta(seconds=seconds_ago))


def test_a_job_is_written_with_its_outbox_row_and_its_line_on_the_log() -> None:
    person = actor_of(make_user("clinician", make_site()))
    job = stored(queued(by=person, queue="gpu", title="Train"))
    assert (job.state, job.queue, job.title, job.payload, job.requested_by) == ("queued", "gpu", "Train", {"n": 1}, person.id)
    row = Outbox.objects.get()
    assert (row.job_id, row.published_at, row.tries) == (job.pk, None, 0)
    line = Event.objects.get()
    assert (line.action, line.object_id, line.actor_id, line.detail) == ("job.queue", str(job.pk), person.id, {"kind": "trial"})


def test_the_same_key_is_queued_once_and_sent_once(broker: Broker, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        first, again, other = queued(), queued(payload={"n": 2}), queued("two")
    assert again.pk == first.pk != other.pk and stored(first).payload == {"n": 1}
    assert (Job.objects.count(), Outbox.objects.count(), Event.objects.filter(action="job.queue").count()) == (2, 2, 2)
    assert broker.sent == [(RUN_JOB, str(first.pk), "cpu"), (RUN_JOB, str(other.pk), "cpu")]


@pytest.mark.parametrize("state", [JobState.RUNNING, *OVER])
def test_the_same_key_does_not_wake_a_job_that_was_begun(broker: Broker, state: str) -> None:
    job = queued()
    Job.objects.update(state=state)
    assert queued().pk == job.pk
    assert stored(job).state == state and Event.objects.count() == 1


def test_nothing_is_sent_before_the_commit(broker: Broker, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True) as waiting:
        queued(queue="gpu")
        assert broker.sent == [] and Outbox.objects.get().published_at is None
    assert len(waiting) == 1 and [queue for _, _, queue in broker.sent] == ["gpu"]
    row = Outbox.objects.get()
    assert row.published_at is not None and row.tries == 1


def test_a_rollback_loses_job_outbox_and_line_together(broker: Broker, django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError), transaction.atomic():
        queued()
        raise ZeroDivisionError
    assert (Job.objects.count(), Outbox.objects.count(), Event.objects.count(), broker.sent) == (0, 0, 0, [])


@pytest.mark.parametrize("broken", ["record", "Outbox.objects.create"])
def test_a_job_that_cannot_be_logged_or_sent_is_not_queued(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise LogNotWritten("The log is full.")

    monkeypatch.setattr(f"salus_web.jobs.services.{broken}", refuse)
    with pytest.raises(LogNotWritten):
        queued()
    assert (Job.objects.count(), Outbox.objects.count(), Event.objects.count()) == (0, 0, 0)


def test_a_claim_gives_a_fence_and_a_lease(settings: Any) -> None:
    settings.SALUS_LEASE_SECONDS = 90
    job, before = queued(), now()
    held = claim(job_id=str(job.pk), worker="w" * 200, device="cpu 8")
    assert held == Claim(str(job.pk), "trial", {"n": 1}, 1)
    taken = stored(job)
    assert (taken.state, taken.worker, taken.device, taken.attempts, taken.crashes) == ("running", "w" * 120, "cpu 8", 1, 0)
    assert taken.lease_until is not None and taken.started_at is not None and taken.started_at >= before
    assert before + timedelta(seconds=90) <= taken.lease_until <= now() + timedelta(seconds=90)


def test_a_second_worker_gets_nothing_while_the_lease_lives() -> None:
    job = queued()
    claimed(job)
    assert claim(job_id=str(job.pk), worker="second") is None
    assert (stored(job).worker, stored(job).fence, stored(job).crashes) == ("first", 1, 0)


@pytest.mark.parametrize("state", OVER)
def test_what_is_over_is_not_claimed(state: str) -> None:
    job = queued()
    Job.objects.update(state=state)
    assert claim(job_id=str(job.pk), worker="first") is None
    assert (stored(job).state, stored(job).fence) == (state, 0)


def test_a_job_that_is_gone_is_not_claimed() -> None:
    assert claim(job_id=str(new_id()), worker="first") is None


@pytest.mark.parametrize("prolong", ["progress", "heartbeat"])
def test_a_sign_of_life_prolongs_the_lease(prolong: str) -> None:
    job = queued()
    held = claimed(job)
    lapse(job)
    if prolong == "progress":
        services.progress(claim=held, fraction=0.25, message="m" * 500)
        assert (stored(job).progress, stored(job).message) == (0.25, "m" * 400)
    else:
        assert services.heartbeat(claim=held) is True
    assert claim(job_id=str(job.pk), worker="second") is None


@pytest.mark.parametrize(("said", "kept"), [(-0.5, 0.0), (0.0, 0.0), (1.0, 1.0), (7.0, 1.0)])
def test_progress_stays_between_nothing_and_all(said: float, kept: float) -> None:
    job = queued()
    services.progress(claim=claimed(job), fraction=said, message="")
    assert stored(job).progress == kept


@pytest.mark.parametrize("act", LATE_WORK)
def test_after_the_lease_another_worker_takes_over_and_the_late_one_is_refused(act: str) -> None:
    job = queued()
    late = claimed(job)
    lapse(job)
    second = claimed(job, "second")
    assert (second.fence, stored(job).worker, stored(job).crashes, stored(job).attempts) == (late.fence + 1, "second", 1, 2)
    before = Job.objects.values().get()
    with pytest.raises(StateConflict, match="taken over"):
        LATE_WORK[act](late)
    assert Job.objects.values().get() == before and Event.objects.filter(action__in=["job.done", "job.fail"]).count() == 0
    services.finish(claim=second, result={"by": "second"}, by=SYSTEM)
    assert stored(job).result == {"by": "second"}


def test_a_late_worker_has_no_heartbeat() -> None:
    job = queued()
    late = claimed(job)
    lapse(job)
    claimed(job, "second")
    ends = stored(job).lease_until
    assert services.heartbeat(claim=late) is False and stored(job).lease_until == ends


@pytest.mark.parametrize("act", LATE_WORK)
@pytest.mark.parametrize("state", OVER)
def test_what_is_over_takes_no_more_work(act: str, state: str) -> None:
    job = queued()
    held = claimed(job)
    Job.objects.update(state=state)
    with pytest.raises(StateConflict, match="cancelled"):
        LATE_WORK[act](held)
    assert stored(job).state == state and services.heartbeat(claim=held) is False


def test_finishing_stores_the_result_and_frees_the_lease() -> None:
    job = queued()
    held = claimed(job)
    services.progress(claim=held, fraction=0.5, message="half")
    services.finish(claim=held, result={"rows": 3}, by=SYSTEM)
    done = stored(job)
    assert (done.state, done.result, done.progress, done.message, done.lease_until) == ("done", {"rows": 3}, 1.0, "", None)
    assert done.finished_at is not None
    assert Event.objects.get(action="job.done").object_id == str(job.pk)


def test_failing_keeps_the_sentence() -> None:
    job = queued()
    services.fail(claim=claimed(job), sentence="Row 7 has no age.", by=SYSTEM)
    failed = stored(job)
    assert (failed.state, failed.failure, failed.lease_until) == ("failed", "Row 7 has no age.", None)
    assert failed.finished_at is not None
    assert Event.objects.get(action="job.fail").outcome == "failed"


@pytest.mark.parametrize("act", ["finish", "fail"])
def test_an_end_that_cannot_be_logged_is_no_end(monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    job = queued()
    held = claimed(job)

    def refuse(*args: Any, **options: Any) -> None:
        raise LogNotWritten("The log is full.")

    monkeypatch.setattr("salus_web.jobs.services.record", refuse)
    with pytest.raises(LogNotWritten):
        LATE_WORK[act](held)
    assert (stored(job).state, stored(job).finished_at) == (JobState.RUNNING, None)


def crash(job: Job, times: int) -> None:
    for number in range(times):
        claimed(job, f"worker {number}")
        lapse(job)


def test_two_crashes_are_forgiven() -> None:
    job = queued()
    crash(job, 2)
    assert claimed(job).fence == 3 and stored(job).crashes == 2


def test_three_crashes_set_a_job_aside_with_a_sentence() -> None:
    job = queued()
    crash(job, 3)
    assert claim(job_id=str(job.pk), worker="fourth") is None
    aside = stored(job)
    assert (aside.state, aside.crashes, aside.fence, aside.lease_until) == (JobState.QUARANTINED, 3, 3, None)
    assert "stopped 3 times" in aside.failure and "a person looks" in aside.failure and aside.finished_at is not None
    assert claim(job_id=str(job.pk), worker="fifth") is None and stored(job).crashes == 3


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.QUARANTINED, JobState.CANCELLED])
def test_a_person_tries_again(state: str, broker: Broker, django_capture_on_commit_callbacks: Any) -> None:
    administrator = actor_of(make_user("administrator", make_site()))
    job = queued()
    crash(job, 2)
    Job.objects.update(state=state, failure="Broken.", progress=0.4, message="was here", finished_at=now(), lease_until=None)
    published(job, seconds_ago=3600)
    with django_capture_on_commit_callbacks(execute=True):
        retry(job_id=str(job.pk), by=administrator)
        assert broker.sent == [] and Outbox.objects.get().published_at is None
    again = stored(job)
    assert (again.state, again.crashes, again.failure, again.progress, again.message) == ("queued", 0, "", 0.0, "")
    assert again.finished_at is None and broker.sent == [(RUN_JOB, str(job.pk), "cpu")]
    line = Event.objects.get(action="job.retry")
    assert (line.actor_id, line.object_id) == (administrator.id, str(job.pk))


def test_a_worker_from_before_the_retry_is_still_late() -> None:
    job = queued()
    old = claimed(job)
    services.fail(claim=old, sentence="Broken.", by=SYSTEM)
    retry(job_id=str(job.pk), by=SYSTEM)
    assert claimed(job, "second").fence == old.fence + 1
    with pytest.raises(StateConflict):
        services.finish(claim=old, result={}, by=SYSTEM)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.DONE])
def test_only_what_went_wrong_is_tried_again(state: str) -> None:
    job = queued()
    Job.objects.update(state=state)
    with pytest.raises(StateConflict, match="Only a job that failed"):
        retry(job_id=str(job.pk), by=SYSTEM)
    assert stored(job).state == state and not Event.objects.filter(action="job.retry").exists()


def test_a_job_that_does_not_exist_is_not_tried_again() -> None:
    with pytest.raises(Hidden):
        retry(job_id=str(new_id()), by=SYSTEM)


def test_reconciling_sends_what_never_arrived_once(broker: Broker) -> None:
    job = queued()  # no commit in this test, so nothing was sent
    assert reconcile() == 1 and broker.sent == [(RUN_JOB, str(job.pk), "cpu")]
    assert reconcile() == 0 and len(broker.sent) == 1


def test_reconciling_sends_again_what_the_broker_lost(broker: Broker) -> None:
    lost, fresh = queued("lost"), queued("fresh")
    published(lost, seconds_ago=31)
    published(fresh, seconds_ago=5)
    assert reconcile() == 1 and [job_id for _, job_id, _ in broker.sent] == [str(lost.pk)]


def test_reconciling_sends_a_job_whose_outbox_row_is_gone(broker: Broker) -> None:
    job = queued()
    Outbox.objects.all().delete()
    assert reconcile() == 1 and [job_id for _, job_id, _ in broker.sent] == [str(job.pk)]


def test_reconciling_sends_a_job_whose_worker_died_and_no_other(broker: Broker) -> None:
    dead, living = queued("dead"), queued("living")
    for job in (dead, living):
        claimed(job)
        published(job, seconds_ago=3600)
    lapse(dead)
    assert reconcile() == 1 and [job_id for _, job_id, _ in broker.sent] == [str(dead.pk)]


@pytest.mark.parametrize("state", OVER)
def test_reconciling_leaves_alone_what_is_over(broker: Broker, state: str) -> None:
    job = queued()
    lapse(job)
    Job.objects.update(state=state)
    assert reconcile() == 0 and broker.sent == []


@pytest.mark.parametrize("queue", QUEUES)
def test_what_reaches_the_broker_is_an_id_in_the_queue_of_the_job(queue: str) -> None:
    with configure().connection_for_read() as connection:
        arrived = connection.SimpleQueue(queue)
        arrived.clear()
        job = queued(queue=queue)
        assert reconcile() == 1
        message = arrived.get(block=False)
    assert message.headers["task"] == RUN_JOB and message.decode()[:2] == [[str(job.pk)], {}]


def test_a_dead_broker_is_no_failure(
    dead_broker: Celery, django_capture_on_commit_callbacks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = queued()
    row = Outbox.objects.get()
    assert (stored(job).state, row.published_at, row.tries) == (JobState.QUEUED, None, 1)
    assert "sent again" in caplog.text


@pytest.mark.parametrize("error", [OperationalError, ConnectionRefusedError, TimeoutError])
def test_what_a_dead_broker_missed_is_sent_when_it_lives(broker: Broker, error: type[Exception]) -> None:
    job, broker.error = queued(), error("nobody listens")
    assert reconcile() == 0 and broker.sent == [] and Outbox.objects.get().published_at is None
    broker.error = None
    assert reconcile() == 1 and [job_id for _, job_id, _ in broker.sent] == [str(job.pk)]
    row = Outbox.objects.get()
    assert row.published_at is not None and row.tries == 2


def test_a_fault_of_our_own_is_not_taken_for_a_dead_broker(broker: Broker) -> None:
    queued()
    broker.error = TypeError("not JSON")
    with pytest.raises(TypeError):
        reconcile()
