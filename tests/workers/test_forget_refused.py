"""The beat that lets go of what was refused long ago: the bytes, not the row with its reason, and on the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from salus_web.audit.models import Event
from salus_web.common import vault
from salus_web.common.errors import IntegrityBroken
from salus_web.ingest.models import Upload
from salus_web.jobs.celery import FORGET_REFUSED, configure
from salus_workers.tasks.forget_refused import forget_refused_files

from tests.web.test_vault_sweep import OLD, refused

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def stay_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task closes the connection of its process, which here is the test's."""
    monkeypatch.setattr("salus_workers.tasks.forget_refused.close_old_connections", lambda: None)


def test_after_thirty_days_the_bytes_go_and_the_reason_stays(django_capture_on_commit_callbacks: Callable[..., Any]) -> None:
    old, young = refused(OLD), refused(OLD / 2)
    with django_capture_on_commit_callbacks(execute=True):
        forget_refused_files()
    with pytest.raises(IntegrityBroken):
        vault.get(old.blob_key, sha256=old.blob_sha256)
    assert vault.get(young.blob_key, sha256=young.blob_sha256)
    row = Upload.objects.get(pk=old.pk)
    assert row.blob_key == "" and row.problems == old.problems != []
    assert Event.objects.filter(action="upload.forget").values_list("object_id", "actor_id").get() == (str(old.pk), "system:refused_files")
    forget_refused_files()
    assert Event.objects.filter(action="upload.forget").count() == 1


def test_it_comes_by_itself() -> None:
    assert [one["schedule"] for one in configure().conf.beat_schedule.values() if one["task"] == FORGET_REFUSED] == [3600.0]
