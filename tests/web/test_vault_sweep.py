"""The sweep finds what belongs to nothing, removes it only when told to, and never what any row names."""

from __future__ import annotations

import io
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from salus_web.audit.models import Event
from salus_web.common import arrivals, vault
from salus_web.common.arrivals import Arrival
from salus_web.common.clock import now
from salus_web.common.errors import IntegrityBroken, LogNotWritten
from salus_web.ingest import sweeping
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.services import read_and_store, receive
from salus_web.ingest.sweeping import named, sweep
from salus_web.records.sealing import blob_columns

from tests.factories.cohorts import make_project
from tests.factories.hospital import make_bundle, make_person, make_release
from tests.factories.people import SYSTEM, make_site, make_user
from tests.web.test_ingest_door import film

pytestmark = pytest.mark.django_db
OLD = timedelta(days=31)


def keys() -> set[str]:
    return {key for folder in vault.folders() for key in vault.keys_in(folder)}


def aged() -> None:
    """Everything in the vault was written two days ago."""
    for key in keys():
        path = Path(settings.STORAGES["vault"]["OPTIONS"]["location"]) / vault.blob_name(key)
        os.utime(path, (0, time.time() - 2 * 24 * 3600))


def refused(age: timedelta) -> Upload:
    upload = receive(filename="Jane.json", content=os.urandom(40), site=make_site(), by=SYSTEM)
    read_and_store(upload=upload, by=SYSTEM)
    Upload.objects.filter(pk=upload.pk).update(finished_at=now() - age)
    upload.refresh_from_db()
    assert upload.state == UploadState.REFUSED
    return upload


@pytest.fixture(autouse=True)
def empty_vault() -> None:
    """What other tests left has no rows any more."""
    for key in keys():
        vault.delete(key)


def test_a_dry_run_says_and_removes_nothing() -> None:
    lost, old = vault.put(b"no row"), refused(OLD)
    aged()
    half = Arrival(owner="person:00000000-0000-4000-8000-000000000001")
    os.utime(arrivals.place() / half.key, (0, time.time() - arrivals.STALE_SECONDS - 5))
    before, lines = keys(), io.StringIO()
    call_command("sweep_vault", stdout=lines)
    assert lost.key in lines.getvalue() and str(old.pk) in lines.getvalue() and "nothing was removed" in lines.getvalue()
    assert "1 that never arrived whole" in lines.getvalue() and (arrivals.place() / half.key).exists()
    half.discard()
    assert keys() == before and not Event.objects.filter(action="vault.sweep").exists()


def test_what_belongs_to_nothing_goes_and_everything_else_stays(django_capture_on_commit_callbacks) -> None:
    site = make_site()
    make_person(site, "Qsweep", make_bundle())
    make_release(make_project(site, members=[]), make_user("researcher", site))
    stored = receive(filename="f.dcm", content=film(), site=site, by=SYSTEM)
    read_and_store(upload=stored, by=SYSTEM)
    recent, old = refused(timedelta(days=3)), refused(OLD)
    kept = keys() - {old.blob_key}
    lost = vault.put(b"no row")
    aged()
    young = vault.put(b"its transaction has not ended")
    with django_capture_on_commit_callbacks(execute=True):
        found = sweep(remove=True, by=SYSTEM)
    assert (found.nameless, found.refused) == ([lost.key], [str(old.pk)])
    assert keys() == kept | {young.key} and recent.blob_key in keys()
    old.refresh_from_db()
    assert old.blob_key == "" and old.problems, "the row stays with its reason"
    assert Event.objects.filter(action="upload.forget", object_id=str(old.pk)).count() == 1
    assert Event.objects.get(action="vault.sweep").detail == {"nameless": 1, "refused": 1, "half": 0}
    with pytest.raises(IntegrityBroken):
        vault.get(old.blob_key or "0" * 40, sha256="")


def test_what_cannot_be_logged_is_not_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise LogNotWritten("no log")

    lost = vault.put(b"no row")
    aged()
    monkeypatch.setattr(sweeping, "record", refuse)
    with pytest.raises(LogNotWritten):
        sweep(remove=True, by=SYSTEM)
    assert lost.key in keys()


def test_bytes_that_a_stored_twin_needs_stay() -> None:
    old = refused(OLD)
    twin = Upload(site=old.site, state=UploadState.STORED, blob_key=old.blob_key, blob_sha256="s", blob_bytes=1, received_by="x", received_at=now())
    twin.save(force_insert=True)
    assert sweep(remove=True, by=SYSTEM).refused == [] and old.blob_key in keys()


def test_every_column_that_names_a_blob_is_looked_at() -> None:
    """Found two ways: by the tables' own word of where their blobs are, and by what the factories store."""
    site = make_site()
    make_person(site, "Qnamed", make_bundle())
    make_release(make_project(site, members=[]), make_user("researcher", site))
    assert keys() and keys() <= named()
    for column in blob_columns():
        assert column.column.endswith("key"), column.place
    for model in apps.get_models():
        for one in model._meta.concrete_fields:
            assert not one.name.endswith("_blob"), f"{model.__name__}.{one.name} may name a blob in a way the sweep does not know"
