"""Whatever changes something leaves its line, in the same transaction: bulk writes, raw SQL, administrators' acts, commands, workers.

The connection is watched, not the code, so a new way to write is counted without anybody remembering to test it. What workers do is in
tests/flow/test_worker_completeness.py.
"""

from __future__ import annotations

import ast
import io
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command, get_commands
from django.db import connection, transaction
from django.test import Client
from salus_web.accounts.models import Site, User
from salus_web.audit.models import Event
from salus_web.audit.services import Act, record
from salus_web.backups.models import Run, RunKind
from salus_web.backups.taking import keep
from salus_web.common.clock import now
from salus_web.registry.models import TaskFile
from salus_web.releases.models import Release

from tests.factories.completeness import OWN, watching
from tests.factories.people import SYSTEM, make_patient, make_site, make_user
from tests.house.test_every_url import LETTER, ROLES, TABLE, Place, declaration, patterns, place  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
DATA = Path(__file__).resolve().parents[1] / "data"


# --- the watch itself: each way to write past a service is seen


def bulk(site: Site) -> None:
    TaskFile.objects.bulk_create([TaskFile(digest=uuid.uuid4().hex * 2, task_id="t", title="t", text="", loaded_by="x", loaded_at=now()) for number in range(3)])


def update(site: Site) -> None:
    User.objects.filter(username="nobody").update(display_name="x")


def raw(site: Site) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_site SET name = %s WHERE id IS NULL", ["x"])


def many(site: Site) -> None:
    with connection.cursor() as cursor:
        cursor.executemany("DELETE FROM records_consent WHERE purpose = %s", [("x",), ("y",)])


def nested(site: Site) -> None:
    with transaction.atomic():
        with transaction.atomic():
            site.save()
        with transaction.atomic():
            pass


@pytest.mark.parametrize("write", [bulk, update, raw, many, nested])
def test_a_write_without_a_line_is_seen_however_it_is_done(write: Any) -> None:
    site = make_site()
    with watching() as watch:
        write(site)
    assert len(watch.silent) == 1, watch.units
    with watching() as watch, transaction.atomic():
        write(site)
        record(Act("x.write"), by=SYSTEM)
    assert watch.silent == [] and watch.written, "with its line it is not"


def test_a_line_of_another_transaction_excuses_nothing() -> None:
    site = make_site()
    with watching() as watch:
        with transaction.atomic():
            record(Act("x.write"), by=SYSTEM)
        with transaction.atomic():
            site.save()
    assert [tables for tables, _ in watch.silent] == [["accounts_site"]]


def test_bookkeeping_is_of_tables_that_exist() -> None:
    assert set(OWN) <= set(connection.introspection.table_names())


# --- every address that changes something, as everybody who may use it


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES[1:])
def test_whatever_a_person_changes_on_a_page_leaves_its_line(place: Place, role: str) -> None:  # noqa: F811
    changed: dict[str, set[str]] = {}
    for pattern in patterns():
        _, _, post, _ = TABLE[pattern.name or ""]
        if LETTER[role] not in post or declaration(pattern).action is None:
            continue
        with watching() as watch:
            assert place.ask(role, "post", pattern, "own").status_code < 500, pattern.name
        assert watch.silent == [], f"{pattern.name} as {role}"
        changed[pattern.name or ""] = watch.written
    counted = {name for name, tables in changed.items() if tables}
    least = {
        "administrator": {"add-person", "add-role", "end-role", "add-member", "end-member", "add-relation", "end-relation", "invite", "person-until",
                          "model", "uploads", "decide-release", "audit-searches", "audit-watched", "make-project", "add-to-project", "take-from-project",
                          "end-project"},
        "clinician": {"review", "uploads", "token-make"}, "auditor": {"audit-searches", "audit-watched"},
        "researcher": {"save-cohort", "ask-release", "decide-release", "token-make"},
    }[role]  # fmt: skip
    assert least <= counted, f"the walk did not change what it should have: {least - counted}"


@pytest.mark.slow
def test_what_the_walk_asks_a_release_for_is_granted(place: Place) -> None:  # noqa: F811
    """A request that the gate refuses answers with the same status, and the walk would prove nothing of it."""
    (pattern,) = (pattern for pattern in patterns() if pattern.name == "ask-release")
    before = Release.objects.count()
    answer = place.client("researcher").post(place.address(pattern, "own"), place.form("ask-release"), follow=True)
    assert Release.objects.count() == before + 1 and b"The files are being prepared" in answer.content
    line = Event.objects.filter(action="release.request").latest("number")
    assert (line.outcome, line.actor_id) == ("done", str(place.users["researcher"].pk))


@pytest.mark.slow
def test_an_auditor_finds_each_act_of_an_administrator_by_searching(place: Place) -> None:  # noqa: F811
    """Nothing but the search is needed to learn what an administrator did: every act is a line of theirs, newest first."""
    who, desk, done = str(place.users["administrator"].pk), place.client("auditor"), set[str]()
    for pattern in patterns():
        said = declaration(pattern)
        if "a" not in TABLE[pattern.name or ""][2] or said.action is None or said.action.startswith(("self.", "audit.", "token.")):
            continue
        point = transaction.savepoint()
        before = set(Event.objects.values_list("number", flat=True))
        with watching() as watch:
            answer = place.client("administrator").post(place.address(pattern, "own"), place.form(pattern.name or ""))
        lines = Event.objects.exclude(number__in=before).filter(actor_id=who)
        if answer.status_code < 400 and watch.written:
            acts = set(lines.exclude(object_kind="page").values_list("action", flat=True))
            assert acts, f"{pattern.name} left no line of its own"
            for action in acts:
                found = desk.get("/audit/", {"person": who, "action": action, "outcome": "done"}).content.decode()
                assert f">{action}</span></td>" in found, f"{pattern.name}: {action} is not found"
            done.add(pattern.name or "")
        elif answer.status_code >= 400:
            assert lines.filter(outcome="refused").exists() or answer.status_code == 409, f"{pattern.name}: {answer.status_code}"
        transaction.savepoint_rollback(point)
    assert len(done) > 12, done


# --- commands given on the server's shell

WRITING = {
    "add_person": ["user.create", "role.grant"], "ingest": ["upload.receive", "job.queue"], "rotate_keys": ["keys.rotate", "keys.rotated"],
    "audit_export": ["audit.export"],
}  # fmt: skip
ELSEWHERE = {
    "backup": "a run with its line, below", "restore": "works on an empty place; its line is in the log that was put back", "restore_drill": "a run with its line, below",
    "apply_erasures": "tests/web/test_erasure.py", "keep_backups": "tests/web/test_backup_schedule.py: the same runs, and a line when one is late", "audit_fork": "tests/web/test_audit_checkpoints.py: log.fork", "load_cases": "calls the same door as ingest", "replay": "reads",
    "verify_log": "reads", "audit_checkpoint": "the log's own signature", "bench_audit": "works on a database of its own", "bench": "reads and queues nothing of its own",
    "sbom": "reads", "sweep_vault": "tests/web/test_vault_sweep.py", "make_vault": "makes a place for files", "load_demo": "calls the services", "up": "starts processes",
}  # fmt: skip


def ours() -> set[str]:
    return {name for name, app in get_commands().items() if str(app).startswith("salus_web.")}


def test_no_command_is_forgotten() -> None:
    assert ours() == set(WRITING) | set(ELSEWHERE), "a new command is added here, by hand and on purpose"


@pytest.mark.parametrize("command", WRITING)
def test_a_command_leaves_its_lines(command: str, tmp_path: Path, settings: Any) -> None:
    site = make_site("main")
    make_user("administrator", site)
    make_patient(site)
    (tmp_path / "bundle.json").write_text('{"resourceType": "Bundle", "type": "collection", "entry": []}')
    arguments = {
        "add_person": ["carla", "--name", "Carla", "--role", "auditor", "--site", "main"], "ingest": [str(tmp_path / "bundle.json"), "--site", "main", "--no-wait"],
        "rotate_keys": [], "audit_export": ["--folder", str(tmp_path / "out")],
    }  # fmt: skip
    before = set(Event.objects.values_list("number", flat=True))
    with watching() as watch:
        call_command(command, *arguments[command], stdout=io.StringIO(), stderr=io.StringIO())
    assert watch.silent == []
    acts = list(Event.objects.exclude(number__in=before).order_by("number").values_list("action", flat=True))
    assert set(WRITING[command]) <= set(acts), acts
    assert Event.objects.exclude(number__in=before).filter(actor_id__startswith="system:").count() == len(acts)


@pytest.mark.parametrize("kind", RunKind.values)
@pytest.mark.parametrize("done", [True, False])
def test_what_became_of_a_backup_or_a_drill_is_a_line(kind: str, done: bool) -> None:
    with watching() as watch:
        keep(Run(kind=kind, backup="backup-1", started_at=now(), finished_at=now(), done=done, reason="" if done else "The disk is full"))
    assert watch.silent == [] and watch.written == {"backups_run"}
    line = Event.objects.get()
    assert (line.action, line.outcome) == (f"{kind}.run", "done" if done else "failed")


# --- raw SQL in the code

RAW = {
    "platform/salus_web/audit/storing.py": "the log itself", "platform/salus_web/audit/bench.py": "a database of its own",
    "platform/salus_web/common/keyring.py": "the file of persons' keys, apart from the database",
}  # fmt: skip


def test_nobody_writes_by_raw_sql_but_the_log_itself(repository_root: Path) -> None:
    """A constant that begins like a write is one that may go past every service; each file that has one is named above."""
    found = set()
    for root in ("platform", "workers"):
        for path in (repository_root / root).rglob("*.py"):
            if "migrations" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.lstrip().startswith(("INSERT ", "UPDATE ", "DELETE FROM", "REPLACE INTO", "TRUNCATE ")):
                    found.add(str(path.relative_to(repository_root)))
    assert found == set(RAW)


def test_nobody_signed_in_changes_nothing_on_a_page(place: Place) -> None:  # noqa: F811
    with watching() as watch:
        for address in ("/audit/searches/", "/audit/watched/", "/access/people/", "/cohorts/"):
            Client().post(address, {"name": "x", "mrn": "x"})
    assert watch.written == set()
