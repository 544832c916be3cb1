"""Faults of the machine are told in words: a full disk, an almost full one, a database that is away or busy."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, InterfaceError, OperationalError
from django.test import Client
from salus_web.audit.models import Event
from salus_web.common import trouble, vault
from salus_web.common.errors import BadInput, LogNotWritten, NoRoom
from salus_web.common.trouble import AWAY, BUSY, FULL, check_room, sentence_for
from salus_web.ingest.models import Upload
from salus_web.jobs import services
from salus_web.jobs.models import Job, JobState, Outbox
from salus_web.jobs.services import Claim, enqueue, retry
from salus_workers.pipelines.registry import PIPELINES

from tests.factories.people import SYSTEM, make_patient, make_site, make_user, relate
from tests.factories.simulated import run

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
HUGE = 1 << 62


def led_to(error: Exception, cause: Exception) -> Exception:
    """The error as code raises it that hides its cause from the reader."""
    try:
        try:
            raise cause
        except Exception:  # noqa: BLE001 - only to have a context
            raise error from None
    except Exception as raised:  # noqa: BLE001 - handed on
        return raised


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (NO_SPACE, FULL),
        (OSError(errno.EDQUOT, "quota"), FULL),
        (OperationalError("database or disk is full"), FULL),
        (led_to(OperationalError("could not extend file"), psycopg.errors.DiskFull()), FULL),
        (led_to(LogNotWritten("The log."), OperationalError("database or disk is full")), FULL),
        (OperationalError("server closed the connection unexpectedly"), AWAY),
        (InterfaceError("connection already closed"), AWAY),
        (led_to(LogNotWritten("The log."), OperationalError("terminating connection")), AWAY),
        (OperationalError("database is locked"), BUSY),
        (DataError("value too long"), ""),
        (OSError(errno.EACCES, "no"), ""),
        (BadInput("Row 7 has no age."), ""),
        (None, ""),
    ],
)
def test_each_fault_has_its_sentence(error: Exception | None, sentence: str) -> None:
    assert sentence_for(error) == sentence


def test_room_is_measured_where_the_data_will_lie(tmp_path: Path, settings: Any) -> None:
    settings.SALUS_DATA_DIR, settings.SALUS_RESERVE_BYTES = tmp_path / "not" / "yet", 0
    check_room(1)
    settings.SALUS_RESERVE_BYTES = HUGE
    with pytest.raises(NoRoom, match="almost full"):
        check_room(1)


def test_a_blob_that_does_not_fit_leaves_no_half(tmp_path: Path, settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "vault": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "vault"}}
    }
    storage = storages["vault"]

    def half(name: str, content: ContentFile) -> str:  # type: ignore[type-arg]
        path = Path(storage.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read()[:10])
        raise NO_SPACE

    storage.save = half  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="space"):
        vault.put(b"x" * 100)
    assert [path for path in (tmp_path / "vault").rglob("*") if path.is_file()] == []


@pytest.fixture
def door(db: None) -> Client:
    client, site = Client(raise_request_exception=False), make_site()
    client.force_login(make_user("administrator", site))
    client.site = str(site.pk)  # type: ignore[attr-defined]
    return client


def bring(door: Client, *names: str) -> Any:
    files = [SimpleUploadedFile(name, name.encode()) for name in names]
    return door.post("/uploads/", {"site": door.site, "files": files}, follow=True)  # type: ignore[attr-defined]


def test_the_door_says_that_there_is_no_room_and_takes_nothing(door: Client, settings: Any) -> None:
    settings.SALUS_RESERVE_BYTES = HUGE
    answer = bring(door, "one.json", "two.json")
    page = answer.content.decode()
    assert answer.status_code == 507 and "almost full" in page and "came in, to be read" not in page
    assert not Upload.objects.exists() and not Job.objects.exists()
    assert not Event.objects.filter(action="upload.receive").exists()


def test_the_door_counts_what_came_in(door: Client) -> None:
    page = bring(door, "one.json", "two.json").content.decode()
    assert "2 of 2 files came in" in page and Upload.objects.count() == 2


def test_a_full_reserve_does_not_stop_a_reading(settings: Any, db: None) -> None:
    settings.SALUS_RESERVE_BYTES = HUGE
    site = make_site()
    user, patient = make_user("clinician", site), make_patient(site)
    relate(user, patient)
    client = Client()
    client.force_login(user)
    assert client.get(f"/patients/{patient.pk}/").status_code == 200
    assert Event.objects.filter(action="patient.read", patient=patient.pseudonym).exists()


@pytest.mark.parametrize(("error", "sentence"), [(NO_SPACE, FULL), (OperationalError("gone"), AWAY), (OperationalError("database is locked"), BUSY)])
@pytest.mark.parametrize("place", ["salus_web.dashboard.views.operations.counts", "salus_web.accounts.middleware.actor_for_user"])
def test_a_fault_of_the_machine_is_a_503_in_words(door: Client, monkeypatch: pytest.MonkeyPatch, place: str, error: Exception, sentence: str) -> None:
    def fall(*words: Any, **named: Any) -> None:
        raise error

    monkeypatch.setattr(place, fall)
    answer = door.get("/jobs/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert sentence in answer.content.decode() and "Traceback" not in answer.content.decode()
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"] and "no-store" in answer.headers["Cache-Control"]


def test_another_fault_stays_a_500(door: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salus_web.dashboard.views.operations.counts", lambda **_: 1 // 0)
    answer = door.get("/jobs/")
    assert answer.status_code == 500 and "Something went wrong" in answer.content.decode() and "Zero" not in answer.content.decode()


# --- what a worker does


def job_that(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Job:
    def fall(held: Claim, report: Callable[[float, str], None]) -> None:
        raise error

    monkeypatch.setitem(PIPELINES, "trial", fall)
    return enqueue(kind="trial", unique_key="trial", payload={}, by=SYSTEM)


@pytest.mark.django_db
@pytest.mark.parametrize("error", [NO_SPACE, OperationalError("database or disk is full"), NoRoom("The disk is almost full.")])
def test_a_job_on_a_full_disk_fails_in_words_and_can_be_tried_again(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    job = run(job_that(monkeypatch, error))
    assert job.state == JobState.FAILED and "disk" in job.failure and "full" in job.failure
    assert retry(job_id=str(job.pk), by=SYSTEM).state == JobState.QUEUED


@pytest.mark.django_db
@pytest.mark.parametrize("error", [OperationalError("gone"), InterfaceError("closed"), led_to(LogNotWritten("x"), OperationalError("gone"))])
def test_a_job_that_lost_its_database_goes_back_and_counts_no_crash(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    job = job_that(monkeypatch, error)
    Outbox.objects.update(published_at=job.created_at)
    job = run(job)
    assert (job.state, job.crashes, job.failure, job.lease_until) == (JobState.QUEUED, 0, "", None)
    assert Outbox.objects.get().published_at is None
    assert Event.objects.get(action="job.give_back").object_id == str(job.pk)


@pytest.mark.django_db
def test_a_job_that_loses_its_database_each_time_fails_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_that(monkeypatch, OperationalError("gone"))
    for _ in range(services.ATTEMPT_LIMIT):
        job = run(job)
    assert job.state == JobState.FAILED and "database" in job.failure


def test_words_hold_no_name_of_a_file() -> None:
    assert all("/" not in sentence for sentence in (trouble.FULL, trouble.AWAY, trouble.BUSY))
