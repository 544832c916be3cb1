"""The audit page: its strip, filters, saved searches and export; what it asks of the database does not grow with the log."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Countersign, Event, SavedSearch
from salus_web.audit.selectors import PAGE, actions
from salus_web.audit.services import Act, record, record_many
from salus_web.jobs.models import Job
from salus_workers.pipelines import verify_log

from tests.factories.glass import Glass, make_glass
from tests.factories.hospital import make_bundle, make_person
from tests.factories.people import SYSTEM, actor_of, client_of, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def glass(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Glass:
    return make_glass(tmp_path, settings, monkeypatch)


@pytest.fixture
def auditor(site: Site) -> User:
    return make_user("auditor", site)


@pytest.fixture
def desk(auditor: User) -> Client:
    return client_of(auditor)


def test_the_strip_says_how_the_log_stands(glass: Glass, desk: Client) -> None:
    assert "Last checkpoint ✕ act now none yet" in text_of(desk.get("/audit/"))
    glass.grow(20)
    said = text_of(desk.get("/audit/"))
    assert "✓ well number 1," in said and "✓ well signed checkpoint 1" in said and "not under a checkpoint yet" in said
    Countersign.objects.update(body="", refused="Checkpoint 9 was the last I saw; 1 does not follow it.")
    assert "✕ act now refuses to sign Checkpoint 9 was the last I saw" in text_of(desk.get("/audit/"))


def test_verify_answers_range_root_witness_and_time(glass: Glass, desk: Client) -> None:
    glass.grow(20)
    desk.post("/audit/verify/")
    job = Job.objects.get(kind="verify_log")
    Job.objects.filter(pk=job.pk).update(state="running", fence=1)
    verify_log.run(verify_log.Claim(str(job.pk), job.kind, {}, 1), lambda fraction, words: None)
    said = text_of(desk.get(f"/audit/verify/{job.pk}/"))
    lines = Event.objects.count() - 1  # the last line says that the job is done
    assert f"lines 1 to {lines}" in said and "The witness has signed checkpoint 1" in said
    job.refresh_from_db()
    assert job.result["root"] in said and len(job.result["root"]) == 64 and f"in {job.result['seconds']} s" in said


def test_purpose_and_outcome_filter(desk: Client) -> None:
    record_many([Act("x.read", purpose="research"), Act("x.read", outcome="refused"), Act("y.read")], by=SYSTEM)
    refused = Event.objects.get(outcome="refused").number
    page = desk.get("/audit/", {"outcome": "refused"}).content.decode()
    assert page.count('<tr><td class="num" data-label="line">') == 1 and f">{refused}<" in page
    page = desk.get("/audit/", {"purpose": "research"}).content.decode()
    assert page.count('<tr><td class="num" data-label="line">') == 1


def test_a_record_number_stands_in_no_address(site: Site, desk: Client) -> None:
    person = make_person(site, "Qmine", make_bundle())
    answer = desk.post("/audit/", {"mrn": "MRNQmine", "action": "patient.read"})
    assert answer.headers["Location"] == f"/audit/?action=patient.read&patient={person.patient.pseudonym}"
    assert "Nobody at your hospitals" in text_of(desk.post("/audit/", {"mrn": "nobody"}))


def test_a_search_is_kept_used_and_deleted(desk: Client, auditor: User, site: Site) -> None:
    desk.post("/audit/searches/", {"name": "Refused looks", "outcome": "refused", "since": "2026-01-02"})
    page = desk.get("/audit/").content.decode()
    assert 'href="/audit/?outcome=refused&amp;since=2026-01-02">Refused looks</a>' in page
    row = SavedSearch.objects.get(owner_id=str(auditor.pk))
    other = Client()
    other.force_login(make_user("administrator", site))
    assert "Refused looks" not in text_of(other.get("/audit/"))
    assert other.post("/audit/searches/", {"forget": str(row.pk)}).status_code == 404
    assert desk.post("/audit/searches/", {"forget": "x"}).status_code == 409
    assert desk.post("/audit/searches/", {"name": "Wrong", "since": "yesterday"}).status_code == 409
    desk.post("/audit/searches/", {"forget": str(row.pk)})
    assert not SavedSearch.objects.exists()


def test_an_auditor_exports_what_the_search_shows(glass: Glass, desk: Client, site: Site) -> None:
    glass.grow(30)
    answer = desk.post("/audit/export/", {"action": "image.read"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        header, *lines = [json.loads(line) for line in archive.read("audit-lines.jsonl").splitlines()]
    assert "attachment" in answer.headers["Content-Disposition"] and "no-store" in answer.headers["Cache-Control"]
    assert {line["event"]["action"] for line in lines} == {"image.read"} and header["lines"] == len(lines)
    other = Client()
    other.force_login(make_user("administrator", site))
    assert other.post("/audit/export/", {}).status_code == 403
    assert "Export with proofs" not in text_of(other.get("/audit/")) and "Export with proofs" in text_of(desk.get("/audit/"))


def test_the_page_asks_the_same_number_of_questions_however_long_the_log_is(
    glass: Glass, desk: Client
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            desk.get("/audit/")
        return len(asked)

    glass.grow(3)
    desk.get("/audit/")
    few = cost()
    glass.grow(4 * PAGE, 30, 9)
    for number in range(5):
        desk.post("/audit/searches/", {"name": f"search {number}"})
    assert cost() == few <= 25


def test_every_kind_of_act_is_offered_once(desk: Client) -> None:
    assert actions() == []
    record_many([Act(name) for name in "cabbaca"], by=SYSTEM)
    assert actions() == ["a", "b", "c"]


def test_nothing_is_shown_when_the_log_cannot_be_written(desk: Client, monkeypatch: pytest.MonkeyPatch, auditor: User) -> None:
    record(Act("secret.read"), by=actor_of(auditor))

    def refuse(rows: Any) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr("salus_web.audit.services.append", refuse)
    for answer in (desk.get("/audit/"), desk.post("/audit/export/"), desk.post("/audit/searches/", {"name": "x"})):
        assert answer.status_code == 503 and b"secret.read" not in answer.content
    assert not SavedSearch.objects.exists()
