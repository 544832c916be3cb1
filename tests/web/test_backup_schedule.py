"""A backup each night and a drill each week: when each is due, what becomes of a failure, and that a late one is said."""

from __future__ import annotations

import errno
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from salus_web.audit.models import Event
from salus_web.backups import drilling, schedule, taking
from salus_web.backups.management.commands import keep_backups
from salus_web.backups.models import Run, RunKind
from salus_web.backups.schedule import backup_is_due, drill_is_due, keep_up, late_by
from salus_web.common.errors import BadInput

pytestmark = pytest.mark.django_db
NIGHT = datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """What time it is for the schedule."""

    def __init__(self) -> None:
        self.at = NIGHT

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    for module in (schedule, taking, drilling):
        monkeypatch.setattr(module, "now", found)
    return found


def ran(kind: str, at: datetime, *, done: bool = True) -> Run:
    return Run.objects.create(kind=kind, backup="b", started_at=at, finished_at=at + timedelta(minutes=5), done=done)


@pytest.mark.parametrize(
    ("last", "now_is", "due"),
    [
        (None, NIGHT, True),
        (NIGHT - timedelta(hours=23), NIGHT - timedelta(minutes=1), False),  # yesterday's holds until the hour strikes
        (NIGHT - timedelta(hours=23), NIGHT, True),
        (NIGHT, NIGHT + timedelta(hours=23, minutes=59), False),
        (NIGHT, NIGHT + timedelta(days=1), True),
        (NIGHT, NIGHT + timedelta(days=3, hours=7), True),  # the machine was off for some nights
    ],
)
def test_a_backup_is_due_once_the_hour_has_struck(clock: Clock, last: datetime | None, now_is: datetime, due: bool) -> None:
    if last:
        ran(RunKind.BACKUP, last)
    clock.at = now_is
    assert backup_is_due(hour=2) is due


def test_a_failed_one_is_tried_again_after_an_hour_and_not_before(clock: Clock) -> None:
    ran(RunKind.BACKUP, NIGHT, done=False)
    clock.at = NIGHT + HOUR
    assert not backup_is_due(hour=2)
    clock.at = NIGHT + HOUR + timedelta(minutes=6)
    assert backup_is_due(hour=2)


def test_a_drill_needs_a_backup_and_is_due_each_week(clock: Clock) -> None:
    assert not drill_is_due()
    ran(RunKind.BACKUP, NIGHT - timedelta(days=1))
    assert drill_is_due()
    ran(RunKind.DRILL, NIGHT - timedelta(days=6))
    assert not drill_is_due()
    clock.at = NIGHT + timedelta(days=2)
    assert drill_is_due()


def test_a_late_backup_is_said_each_time_and_logged_once_a_day(clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert late_by() is None, "nothing was ever asked for"
    ran(RunKind.BACKUP, NIGHT - timedelta(days=3))
    ran(RunKind.DRILL, NIGHT)
    for hours in (2, 4, 6):
        clock.at = NIGHT + hours * HOUR
        said = list(keep_up(place=tmp_path / "gone", key_file=tmp_path / "key", hour=2))
        assert "is no folder" in said[0] and "hours old" in said[-1]
    assert "hours old" in caplog.text
    assert Event.objects.filter(action="backup.late").count() == 1
    assert Run.objects.filter(kind=RunKind.BACKUP, done=False).count() == 3


def test_what_is_due_is_done(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def take(**where: Any) -> Run:
        done.append("backup")
        return ran(RunKind.BACKUP, clock())

    def drill(**where: Any) -> Run:
        done.append("drill")
        return ran(RunKind.DRILL, clock())

    monkeypatch.setattr(schedule, "take_backup", take)
    monkeypatch.setattr(schedule, "restore_drill", drill)
    for _ in range(9 * 24):
        list(keep_up(place=tmp_path, key_file=tmp_path, hour=2))
        clock.at += HOUR
    assert done.count("backup") == 9 and done.count("drill") == 2
    assert not Event.objects.filter(action="backup.late").exists()


def test_a_drill_without_a_place_is_a_drill_that_failed(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backup-1").mkdir()
    (tmp_path / "backup-1" / "manifest.json").write_text("{}")

    def refuse() -> Any:
        raise psycopg.errors.InsufficientPrivilege("permission denied to create database")

    monkeypatch.setattr(drilling, "_scratch", refuse)
    run = drilling.restore_drill(place=tmp_path, key_file=tmp_path / "key")
    assert not run.done and "permission denied" in run.reason and run.size_bytes == 2


def test_a_folder_that_goes_away_is_a_drill_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drilling, "newest_backup", lambda place: tmp_path / "gone")
    run = drilling.restore_drill(place=tmp_path, key_file=tmp_path / "key")
    assert not run.done and "could not be put on trial" in run.reason


def test_the_command_needs_a_place_and_outlives_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CommandError, match="Name the folder"):
        call_command("keep_backups", once=True)

    def away(**words: Any) -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(keep_backups, "keep_up", away)
    call_command("keep_backups", to=tmp_path, key_file=tmp_path / "key", once=True)
    assert "tried again" in capsys.readouterr().err


def test_a_folder_that_is_gone_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no folder"):
        taking.take_backup(to=tmp_path / "gone", key_file=tmp_path / "key")


@pytest.mark.parametrize(("error", "words"), [
    (sqlite3.OperationalError("database or disk is full"), "The disk is full"), (OSError(errno.EDQUOT, "Disk quota exceeded"), "The disk is full"),
    (sqlite3.OperationalError("disk I/O error"), "could not be copied: disk I/O error"),
])  # fmt: skip
def test_a_copy_that_breaks_off_is_a_failure_in_words_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    """SQLite's own copier raises SQLite's own errors, which are not Django's."""
    said = list(keep_up(place=place_where_copying_raises(error, tmp_path, monkeypatch), key_file=tmp_path / "key", hour=2))
    assert words in said[0]
    run = Run.objects.get()
    assert not run.done and words in run.reason and list((tmp_path / "place").iterdir()) == []


def test_a_database_that_goes_away_leaves_no_half_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_where_copying_raises(OperationalError("gone"), tmp_path, monkeypatch)
    with pytest.raises(OperationalError):
        taking.take_backup(to=place, key_file=tmp_path / "key")
    assert list(place.iterdir()) == []


def place_where_copying_raises(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for backups and a key, and a database that breaks off while it is copied."""

    def break_off(*args: Any, **options: Any) -> Any:
        raise error

    (folder / "place").mkdir()
    (folder / "key").write_text("7" * 64)
    (folder / "key").chmod(0o600)
    monkeypatch.setattr(taking.databases, "copy_into", break_off)
    return folder / "place"
