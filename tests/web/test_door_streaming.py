"""Files at the door: sealed as they come, never plain on the disk, nothing left of one that is not kept."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as live
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from salus_web.common import arrivals, vault
from salus_web.common.arrivals import Arrival
from salus_web.common.errors import IntegrityBroken
from salus_web.ingest.incoming import Incoming, TooLarge
from salus_web.ingest.models import Upload, UploadState
from salus_web.ingest.parsers.archive import LONGEST_INDEX, holds_case_table
from salus_web.jobs.models import Job

from tests.factories.people import make_site, make_user

pytestmark = pytest.mark.django_db
SEGMENT = vault.SEGMENT_BYTES
OWNER = "upload:00000000-0000-0000-0000-00000000000a"


def files_on_disk() -> dict[Path, bytes]:
    folders = [Path(live.SALUS_DATA_DIR) / name for name in ("vault", "arriving")]
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT + 17])
def test_what_came_in_pieces_is_the_blob_that_was_put_whole(size: int) -> None:
    plain = os.urandom(size)
    arrival = Arrival(owner=OWNER)
    for start in range(0, size, 100_003):
        arrival.write(plain[start : start + 100_003])
    ref = arrival.finish()
    assert vault.get(ref.key, sha256=ref.sha256) == plain and ref.size_bytes == size
    assert b"".join(vault.pieces(ref.key, sha256=ref.sha256)) == plain
    whole = vault.put(plain, owner=OWNER)
    assert whole.sha256 == ref.sha256 and not list(arrivals.place().iterdir())


def test_pieces_of_a_changed_blob_end_in_an_error() -> None:
    ref = vault.put(os.urandom(SEGMENT + 5), owner=OWNER)
    with pytest.raises(IntegrityBroken):
        list(vault.pieces(ref.key, sha256="0" * 64))
    path = Path(live.STORAGES["vault"]["OPTIONS"]["location"]) / vault.blob_name(ref.key)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(IntegrityBroken):
        list(vault.pieces(ref.key, sha256=ref.sha256))


def test_no_plain_byte_is_on_the_disk_at_any_moment() -> None:
    incoming = Incoming("a.bin")
    for _ in range(3):
        incoming.write(b"PLANTED IN A FILE " * 60_000)
        assert not any(b"PLANTED" in body for body in files_on_disk().values())
    incoming.finish()
    assert not any(b"PLANTED" in body for body in files_on_disk().values())
    incoming.close()


@pytest.mark.parametrize("finished", [False, True])
def test_what_is_not_kept_leaves_nothing(finished: bool) -> None:
    before = set(files_on_disk())
    incoming = Incoming("a.bin")
    incoming.write(b"x" * (SEGMENT + 1))
    assert set(files_on_disk()) != before
    if finished:
        incoming.finish()
    incoming.close()
    incoming.close()
    assert set(files_on_disk()) == before


def test_too_large_a_file_is_stopped_at_the_limit(settings: Any) -> None:
    settings.SALUS_UPLOAD_LIMIT_BYTES = 1000
    incoming = Incoming("a.bin")
    incoming.write(b"x" * 1000)
    with pytest.raises(TooLarge):
        incoming.write(b"x")
    incoming.close()


def test_what_a_killed_process_left_is_cleared_after_a_day() -> None:
    old, new = Arrival(owner=OWNER), Arrival(owner=OWNER)
    path = arrivals.place() / old.key
    os.utime(path, (0, time.time() - arrivals.STALE_SECONDS - 5))
    assert arrivals.clear_stale() == 1 and not path.exists() and (arrivals.place() / new.key).exists()
    new.discard()


def zipped(*names: str, comment: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name in names:
            packed.writestr(name, b"x" * 50)
        packed.comment = comment
    return stream.getvalue()


@pytest.mark.parametrize(
    ("raw", "is_table"),
    [
        (zipped("a.csv", "task.toml"), True), (zipped("task.toml", comment=b"a comment"), True), (zipped("a/task.toml", "task.tom"), False),
        (zipped("a.json"), False), (zipped(), False), (b"PK\x03\x04", False), (b"{}", False), (b"", False),
        (zipped("task.toml")[:-1], False), (zipped("task.toml").replace(b"PK\x01\x02", b"PK\x01\x03"), False),
    ],
)  # fmt: skip
def test_a_case_table_is_known_by_the_index_of_its_zip(raw: bytes, is_table: bool) -> None:
    assert holds_case_table(raw[:256], raw[-LONGEST_INDEX:]) is is_table


def test_the_page_keeps_a_file_and_its_twin_only_once() -> None:
    site = make_site()
    client = Client()
    client.force_login(make_user("clinician", site))
    before = len(files_on_disk())
    for _ in range(2):
        client.post("/uploads/", {"site": str(site.pk), "files": SimpleUploadedFile("Jane Doe.json", b'{"a": 1}')})
    assert list(Upload.objects.order_by("received_at").values_list("state", flat=True)) == [UploadState.RECEIVED, UploadState.UNCHANGED]
    assert len(files_on_disk()) == before + 1 and Job.objects.count() == 1
    first = Upload.objects.earliest("received_at")
    assert first.filename == "Jane Doe.json" and vault.get(first.blob_key, sha256=first.blob_sha256) == b'{"a": 1}'


@pytest.mark.parametrize("wrong", ["no site", "no role", "no session", "no form token"])
def test_a_file_that_nobody_may_bring_leaves_nothing(wrong: str) -> None:
    site, before = make_site(), set(files_on_disk())
    client = Client(enforce_csrf_checks=wrong == "no form token")
    if wrong != "no session":
        client.force_login(make_user("researcher" if wrong == "no role" else "clinician", site))
    form = {"site": "" if wrong == "no site" else str(site.pk), "files": SimpleUploadedFile("a.json", b"{}" * 1000)}
    assert client.post("/uploads/", form).status_code in {302, 403}
    assert set(files_on_disk()) == before and not Upload.objects.exists()


def test_a_file_at_any_other_address_is_thrown_away() -> None:
    client, before = Client(), set(files_on_disk())
    client.force_login(make_user("clinician", make_site()))
    client.post("/patients/", {"q": "x", "files": SimpleUploadedFile("a.json", b"{}" * 1000)})
    assert set(files_on_disk()) == before
