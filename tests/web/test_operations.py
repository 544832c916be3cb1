"""The operations page: what is well, what is not, what is not known; and that nothing outside makes it wait."""

from __future__ import annotations

import os
import socket
import time
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import DatabaseError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Countersign, Event
from salus_web.audit.services import Act, record
from salus_web.backups.models import Run, RunKind
from salus_web.common.clock import now
from salus_web.dashboard.pages.operations import disk, keeping, keys, migrations, page
from salus_web.dashboard.probes import PATIENCE_SECONDS, Answer, Probe
from salus_web.jobs import standing
from salus_web.jobs.models import Job, Measure, Outbox, Reconciler, Worker
from salus_web.jobs.workers import measure, say_alive, say_ended

from tests.factories.glass import Glass, make_glass
from tests.factories.hospital import make_job
from tests.factories.people import SYSTEM, actor_of, client_of, make_user
from tests.web.test_pages_clinician import text_of

pytestmark = pytest.mark.django_db
Disk = namedtuple("Disk", "total used free")


@pytest.fixture
def administrator(site: Site) -> User:
    return make_user("administrator", site)


@pytest.fixture
def desk(administrator: User) -> Client:
    return client_of(administrator)


@pytest.fixture(autouse=True)
def forgotten_probes() -> Iterator[None]:
    """Answers are kept by a process; each test asks anew."""
    for probe in (page.broker_probe, page.certificate_probe):
        probe.cache_clear()
    yield


def said(desk: Client) -> str:
    return text_of(desk.get("/operations/"))


def figure(group: list[Any], label: str) -> Any:
    return next(one for one in group if one.label == label)


def alive(name: str = "cpu@ward", queues: tuple[str, ...] = ("cpu",), **versions: str) -> Worker:
    say_alive(name=name, queues=queues, started_at=now(), versions={"Salus": "0.1.0", "torch": "2.9", **versions})
    return Worker.objects.get(name=name)


# --- who may, and what is on the log


@pytest.mark.parametrize("role", ["clinician", "auditor", "researcher"])
def test_others_are_refused(site: Site, role: str) -> None:
    client = client_of(make_user(role, site))
    assert client.get("/operations/").status_code == 403
    assert "Operations" not in text_of(client.get("/account/"))


def test_the_look_is_on_the_log(desk: Client, administrator: User) -> None:
    desk.get("/operations/")
    assert Event.objects.filter(action="operations.read", actor_id=str(administrator.pk), outcome="done").count() == 1


# --- nothing is good by default


def test_an_empty_installation_is_green_nowhere_but_on_what_was_read(desk: Client) -> None:
    found = desk.get("/operations/").context["page"]
    states = {figure.label: figure.state for _, group in found.groups for figure in group}
    assert {label for label, state in states.items() if state == "good"} <= {"Free on disk", "Migrations"}
    assert {states[name] for name in ("Vault", "Master key", "Certificate", "Broker", "PyTorch", "Database")} <= {"unknown", "plain"}
    assert states["Last backup"] == states["Last restore drill"] == "bad"
    text = said(desk)
    assert "No worker has ever said that it lives" in text and "nobody has looked for lost jobs yet" in text
    assert "certificate : not set" in text.lower()


def test_what_breaks_while_it_is_read_is_not_known_and_takes_nothing_else_with_it(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise DatabaseError("relation does not exist")

    def gone(*args: Any) -> Any:
        raise OSError("the disk does not answer")

    monkeypatch.setattr(keeping, "last_run", broken)
    monkeypatch.setattr(keeping, "log_state", broken)
    monkeypatch.setattr(disk.shutil, "disk_usage", gone)
    found = desk.get("/operations/")
    states = {figure.label: figure for _, group in found.context["page"].groups for figure in group}
    for label in ("Last backup", "Last restore drill", "Last checkpoint", "Witness", "Free on disk"):
        assert (states[label].said, states[label].state) == ("not known", "unknown"), label
    assert states["Migrations"].state == "good" and "the disk does not answer" in text_of(found)


# --- workers and queues


def test_a_worker_says_that_it_lives_what_it_does_and_that_it_ends(desk: Client) -> None:
    row = alive()
    job = make_job("train_task", "running")
    Job.objects.filter(pk=job.pk).update(worker=f"cpu@ward:{os.getpid()}", title="Training t48", started_at=now(), message="fold 2 of 5")
    text = said(desk)
    assert "cpu@ward ✓ alive" in text and "Training t48, since" in text and "fold 2 of 5" in text
    Worker.objects.filter(pk=row.pk).update(seen_at=now() - timedelta(seconds=31))
    assert "cpu@ward ✕ missed" in said(desk)
    alive()
    say_ended(name="cpu@ward")
    text = said(desk)
    assert "cpu@ward ■ ended" in text and "Queue cpu : nobody works for it" in text
    Worker.objects.update(ended_at=now() - timedelta(days=2))
    assert "cpu@ward" not in said(desk)


def test_a_worker_of_another_version_stands_out(desk: Client) -> None:
    alive(Salus="0.0.9")
    assert "Salus : 0.1.0; workers 0.0.9. Workers run another version" in said(desk)
    assert "PyTorch 2.9" in said(desk)


def test_what_waits_is_counted_by_queue_with_the_oldest(administrator: User, desk: Client) -> None:
    for days in (1, 3):
        job = make_job("predict", "queued")
        Job.objects.filter(pk=job.pk).update(created_at=datetime(2026, 3, days, 8, 30, tzinfo=UTC))
    cpu, gpu = standing.queues(viewer=actor_of(administrator))
    assert (cpu.name, cpu.waiting, cpu.oldest) == ("cpu", 2, datetime(2026, 3, 1, 8, 30, tzinfo=UTC)) and gpu.waiting == 0
    found = desk.get("/operations/").context["page"]
    assert [row.figure.state for row in found.queues] == ["bad", "look"], "waiting work without a worker is worse than no worker"
    alive()
    assert desk.get("/operations/").context["page"].queues[0].figure.state == "good"


def test_jobs_that_failed_or_were_set_aside_are_tried_again_from_here(desk: Client) -> None:
    aside, lost = make_job("predict", "quarantined"), make_job("ingest_upload", "queued")
    Job.objects.filter(pk=aside.pk).update(failure="The worker stopped 3 times while doing this.", crashes=3)
    Outbox.objects.create(job=lost, created_at=now(), published_at=now(), tries=4)
    text = said(desk)
    assert "✕ Set aside 3 crash(es) The worker stopped 3 times while doing this." in text
    assert "ingest_upload Waiting 4" in text and "nobody took it in time" in text
    answer = desk.post(f"/jobs/{aside.pk}/retry/", {"back": "operations"}, follow=True)
    assert answer.request["PATH_INFO"] == "/operations/" and "is queued again" in text_of(answer)
    assert Job.objects.get(pk=aside.pk).state == "queued" and Event.objects.filter(action="job.retry").count() == 1
    elsewhere = desk.post(f"/jobs/{make_job('predict', 'failed').pk}/retry/", {"back": "https://elsewhere.example/"})
    assert elsewhere.headers["Location"] == "/jobs/"


def test_the_part_that_looks_for_lost_jobs_is_missed_after_a_minute(desk: Client) -> None:
    row = Reconciler.objects.create(last_at=now(), sent=3)
    found = desk.get("/operations/").context["page"].reconciler
    assert (found.state, "3 sent again" in found.said) == ("good", True)
    Reconciler.objects.filter(pk=row.pk).update(last_at=now() - timedelta(minutes=2))
    assert desk.get("/operations/").context["page"].reconciler.state == "bad"


# --- the log, backups, keys, certificate


def test_the_checkpoint_and_the_witness(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert figure(keeping.log_figures(), "Last checkpoint").state == "look", "an empty log needs none"
    record(Act("x.read"), by=SYSTEM)
    assert figure(keeping.log_figures(), "Last checkpoint").state == "bad"
    glass: Glass = make_glass(tmp_path, settings, monkeypatch)
    glass.grow(20)
    glass.write(5)
    found = keeping.log_figures()
    assert figure(found, "Last checkpoint").state == figure(found, "Witness").state == "good"
    assert "5 lines wait for the next" in figure(found, "Last checkpoint").said
    monkeypatch.setattr(keeping, "now", lambda: now() + timedelta(minutes=6))
    assert figure(keeping.log_figures(), "Last checkpoint").state == "bad"
    Countersign.objects.update(body="", refused="Checkpoint 9 was the last I saw.")
    assert (figure(keeping.log_figures(), "Witness").state, "Verify" in figure(keeping.log_figures(), "Witness").hint) == ("bad", True)


def test_a_quiet_log_asks_for_no_checkpoint_and_a_line_that_waits_does(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, desk: Client
) -> None:
    """The page's own look is a line: after a quiet hour it must not stand beside the last checkpoint as an alarm."""
    make_glass(tmp_path, settings, monkeypatch).grow(20)
    later = now() + timedelta(hours=1)
    monkeypatch.setattr("salus_web.audit.services.now", lambda: later)
    monkeypatch.setattr(keeping, "now", lambda: later)
    desk.get("/operations/")
    assert figure(keeping.log_figures(), "Last checkpoint").state == "good"
    monkeypatch.setattr(keeping, "now", lambda: later + timedelta(minutes=6))
    assert figure(keeping.log_figures(), "Last checkpoint").state == "bad"


def ran(kind: RunKind, ago: timedelta, *, done: bool = True, reason: str = "") -> None:
    Run.objects.create(kind=kind, backup="backup-1", started_at=now() - ago, finished_at=now() - ago, done=done, reason=reason, size_bytes=2_500_000)


@pytest.mark.parametrize(("kind", "label", "fresh", "old"), [
    (RunKind.BACKUP, "Last backup", timedelta(hours=20), timedelta(hours=27)),
    (RunKind.DRILL, "Last restore drill", timedelta(days=7), timedelta(days=9)),
])  # fmt: skip
def test_a_backup_or_drill_that_is_too_old_or_failed_stands_out(kind: Any, label: str, fresh: timedelta, old: timedelta) -> None:
    ran(kind, old)
    found = figure(keeping.backup_figures(), label)
    assert found.state == "bad" and "Too long ago" in found.hint
    ran(kind, fresh)
    found = figure(keeping.backup_figures(), label)
    assert found.state == "good" and "backup-1, 2.5 MB" in found.said
    ran(kind, fresh - timedelta(hours=1), done=False, reason="The disk is full")
    found = figure(keeping.backup_figures(), label)
    assert found.state == "bad" and "The newest failed" in found.hint and "The disk is full" in found.hint


def test_the_age_of_a_key_is_that_since_it_was_first_seen_here() -> None:
    assert figure(keys.key_figures({}), "Master key").state == "unknown"
    measure()
    first = Measure.objects.get(name="key t1").at
    measure()
    kept = Measure.objects.get(name="key t1")
    assert kept.at == first, "seeing it again does not make it younger"
    assert figure(keys.key_figures({kept.name: kept}), "Master key").state == "good"
    kept.at = now() - timedelta(days=366)
    found = figure(keys.key_figures({kept.name: kept}), "Master key")
    assert found.state == "look" and "366 days" in found.said and "rotate_keys" in found.hint


def test_the_last_rotation_is_the_logs_word() -> None:
    assert figure(keys.key_figures({}), "Last rotation").said == "never"
    record(Act("keys.rotated", "key", "k2", detail={"moved": 1234, "unused": [], "broken": 0}), by=SYSTEM)
    assert figure(keys.key_figures({}), "Last rotation").said == "just now, 1,234 values moved"
    record(Act("keys.rotated", "key", "k2", detail={"moved": 0, "unused": [], "broken": 2}), by=SYSTEM)
    assert figure(keys.key_figures({}), "Last rotation").state == "bad"


def certificate(folder: Path, *, days: int) -> Path:
    """A certificate that is good for so many days from now (or was until so many ago)."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "salus.example")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now() - timedelta(days=400)).not_valid_after(now() + timedelta(days=days, hours=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    path = folder / "site.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("days", "state"), [(90, "good"), (20, "look"), (-3, "bad")])
def test_the_certificate_is_read_from_its_file(tmp_path: Path, settings: Any, desk: Client, days: int, state: str) -> None:
    settings.SALUS_CERTIFICATE = str(certificate(tmp_path, days=days))
    found = figure(dict(desk.get("/operations/").context["page"].groups)["Keys"], "Certificate")
    assert found.state == state and "CN=salus.example" in found.said


@pytest.mark.parametrize("what", ["nothing/here.pem", "127.0.0.1:9", "https://127.0.0.1:9"])
def test_a_certificate_that_cannot_be_had_is_not_known(settings: Any, desk: Client, what: str) -> None:
    settings.SALUS_CERTIFICATE = what
    found = figure(dict(desk.get("/operations/").context["page"].groups)["Keys"], "Certificate")
    assert (found.said, found.state) == ("not known", "unknown") and found.hint


def test_a_file_that_is_no_certificate_is_not_known(tmp_path: Path, settings: Any, desk: Client) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    settings.SALUS_CERTIFICATE = str(tmp_path / "x.pem")
    assert figure(dict(desk.get("/operations/").context["page"].groups)["Keys"], "Certificate").state == "unknown"


# --- the machine


def test_little_room_on_the_disk_stands_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((200 << 30, "good"), (3 << 30, "look"), (400 << 20, "bad")):
        monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder, free=free: Disk(1000 << 30, 0, free))
        assert figure(disk.disk_figures({}), "Free on disk").state == ("look" if state == "good" and free < 100 << 30 else state)


def test_the_vault_is_as_large_as_it_was_measured(settings: Any) -> None:
    folder = Path(settings.SALUS_DATA_DIR) / "vault" / "zz"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "blob").write_bytes(b"x" * 3000)
    try:
        measure()
    finally:
        (folder / "blob").unlink()
    found = figure(disk.disk_figures({row.name: row for row in Measure.objects.all()}), "Vault")
    assert "files, measured just now" in found.said and Measure.objects.get(name="vault bytes").value >= 3000


def test_a_migration_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert migrations.migration_figure().state == "good"
    written = migrations._written()
    monkeypatch.setattr(migrations, "_written", lambda: written | {("audit", "0999_later")})
    found = migrations.migration_figure()
    assert found.state == "bad" and "audit.0999_later" in found.hint
    monkeypatch.setattr(migrations, "_written", lambda: written - {("audit", "0001_initial")})
    found = migrations.migration_figure()
    assert found.state == "look" and "audit.0001_initial" in found.hint


# --- nothing outside makes it wait


def test_a_broker_that_takes_the_question_and_keeps_silent_is_not_waited_for(desk: Client, settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        probe = page.broker_probe(settings.CELERY_BROKER_URL)
        started = time.monotonic()
        probe.start()
        answer = probe.answer(until=started + PATIENCE_SECONDS)
        assert time.monotonic() - started < 2 * PATIENCE_SECONDS and "does not answer in time" in answer.trouble
        text = said(desk)
    assert "Broker ? not known not known" in text and "in time. Jobs wait in the database" in text and "At the broker" in text and "cpu ! nobody works for it 0 nothing waits 0 ? not known" in text


def test_one_thread_asks_however_often_the_page_is_opened() -> None:
    asked: list[int] = []

    def slow() -> str:
        asked.append(1)
        time.sleep(0.3)
        return "here"

    probe = Probe(slow, good_for_seconds=60)
    for _ in range(20):
        probe.start()
        assert probe.answer(until=time.monotonic()).trouble
    assert probe.answer(until=time.monotonic() + 5) == Answer("here") and asked == [1]
    probe.start()
    assert asked == [1], "the answer is still good"


def test_an_answer_that_is_no_longer_good_is_not_shown_as_one() -> None:
    says = iter(["here"])

    def once() -> str:
        try:
            return next(says)
        except StopIteration:
            time.sleep(0.4)
            raise OSError("gone") from None

    probe = Probe(once, good_for_seconds=0)
    probe.start()
    assert probe.answer(until=time.monotonic() + 5).value == "here"
    probe.start()
    assert probe.answer(until=time.monotonic()).trouble == "it does not answer in time"
    assert probe.answer(until=time.monotonic() + 5).trouble == "gone"


def test_the_page_asks_the_same_number_of_questions_however_much_there_is(desk: Client) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            desk.get("/operations/")
        return len(asked)

    desk.get("/operations/")
    alive()
    few = cost()
    for number in range(30):
        alive(f"gpu{number}@ward", ("gpu",))
        job = make_job("predict", ("queued", "failed", "running")[number % 3])
        Outbox.objects.create(job=job, created_at=now(), tries=number)
        ran(RunKind("backup"), timedelta(hours=number))
    assert cost() <= few <= 40
