"""Checkpoints are made when they are due, kept where nothing is changed, shown to the witness; a fork is explained or found."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from salus_web.audit import checkpoints
from salus_web.audit.beat import checkpoint_when_due
from salus_web.audit.checkpoints import EVERY_LINES, is_due, make_checkpoint
from salus_web.audit.examination import examine
from salus_web.audit.models import Checkpoint, Countersign, Event, Head
from salus_web.audit.selectors import log_state
from salus_web.audit.telling import show_witness, write_file
from salus_web.audit.verifier import ROLLED_BACK, WHOLE
from salus_web.common.clock import now

from tests.factories.glass import Glass, make_glass, take_guards_off
from tests.web.test_audit_verifier import roll_back

pytestmark = pytest.mark.django_db


@pytest.fixture
def glass(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Glass:
    return make_glass(tmp_path, settings, monkeypatch)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = now() + timedelta(seconds=seconds)
    monkeypatch.setattr(checkpoints, "now", lambda: moment)


def test_one_is_due_after_a_minute_or_a_thousand_lines(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_due() and make_checkpoint() is None, "an empty log has nothing to sign"
    glass.write(1)
    assert is_due()
    checkpoint_when_due()
    glass.write(EVERY_LINES - 1)
    assert not is_due()
    glass.write(1)
    assert is_due()
    checkpoint_when_due()
    later(monkeypatch, 61)
    assert not is_due(), "nothing was written since"
    glass.write(1)
    assert is_due()
    later(monkeypatch, 50)
    assert not is_due()
    assert [json.loads(row.body)["size"] for row in Checkpoint.objects.order_by("pk")] == [1, 1001]


def test_each_names_the_one_before_and_extends_it(glass: Glass) -> None:
    glass.grow(5, 1, 12)
    first, second, third = (json.loads(row.body) | {"note": row.note} for row in Checkpoint.objects.order_by("pk"))
    assert (second["previous"], third["previous"]) == (first["note"], second["note"])
    assert [body["size"] for body in (first, second, third)] == [5, 6, 18]
    assert len((glass.folder / "checkpoints.jsonl").read_text().splitlines()) == 3
    assert Countersign.objects.exclude(body="").count() == 3
    state = log_state()
    assert (state.lines, state.sequence, state.open_lines, state.witnessed, state.refused) == (18, 3, 0, 3, "")


def test_a_large_backlog_is_signed_in_parts(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "LINES_AT_MOST", 30)
    glass.write(70)
    while make_checkpoint():
        glass.checkpoint()
    assert log_state().size == 70 and examine().code == WHOLE


def test_a_process_without_the_key_signs_nothing(glass: Glass, settings: Any) -> None:
    glass.write(3)
    settings.SALUS_AUDIT_SIGNER_KEY_FILE = ""
    checkpoint_when_due()
    assert not Checkpoint.objects.exists()
    with pytest.raises(CommandError, match="SALUS_AUDIT_SIGNER_KEY_FILE"):
        call_command("audit_checkpoint")
    settings.SALUS_AUDIT_SIGNER_KEY_FILE = str(glass.folder / "signer.key")
    (glass.folder / "signer.key").write_text("no key")
    with pytest.raises(CommandError, match="holds no key"):
        call_command("audit_checkpoint")


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_refuses_to_change_a_checkpoint(glass: Glass, change: str) -> None:
    glass.grow(3)
    with pytest.raises(DatabaseError), transaction.atomic():
        if change == "update":
            Checkpoint.objects.update(signature="")
        else:
            Countersign.objects.all().delete()
            Checkpoint.objects.all().delete()
    assert examine().code == WHOLE


def test_what_the_file_or_the_witness_missed_is_told_later(glass: Glass, settings: Any) -> None:
    glass.grow(4)
    where, settings.SALUS_AUDIT_WITNESS = settings.SALUS_AUDIT_WITNESS, ""
    glass.write(4)
    make_checkpoint()
    glass.write(4)
    make_checkpoint()
    assert show_witness() == 0 and log_state().witnessed == 1
    assert examine().code == WHOLE, "others who know less are no proof of anything"
    settings.SALUS_AUDIT_WITNESS = where
    assert (write_file(), show_witness()) == (2, 2) and (write_file(), show_witness()) == (0, 0)
    assert log_state().witnessed == 3


def test_a_full_disk_stops_neither_the_database_nor_the_witness(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    glass.write(2)

    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("salus_web.audit.beat.write_file", full)
    checkpoint_when_due()
    assert log_state().witnessed == 1


def test_the_real_witness_program_is_asked_for_a_folder(glass: Glass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the program itself, as ./salus up runs it
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.SALUS_AUDIT_DIR", glass.folder)
        patch.setattr("django.conf.settings.SALUS_AUDIT_WITNESS", f"folder:{glass.folder / 'program'}")
        patch.setattr("django.conf.settings.SALUS_AUDIT_SIGNER_KEY_FILE", str(glass.folder / "signer.key"))
        (glass.folder / "witness.pub").unlink()
        glass.write(3)
        glass.checkpoint()
        assert log_state().witnessed == 1 and examine().remarks == ("The witness has signed checkpoint 1.",)
        assert (glass.folder / "witness.pub").read_text() == (glass.folder / "program" / "witness.pub").read_text()


# --- forks


def test_a_restored_backup_is_rolled_back_until_it_is_explained(glass: Glass) -> None:
    glass.grow(20, 30, 10)
    take_guards_off()
    roll_back(24, 1)
    found = examine()
    assert (found.code, found.place) == (ROLLED_BACK, 21 + 4)
    call_command("audit_fork", reason="The disk broke; the backup of the night was restored.")
    found = examine()
    assert found.code == WHOLE
    assert "after line 20 the old line of 60 lines was left" in found.remarks[0] and "The disk broke" in found.remarks[0]
    glass.grow(7)
    assert examine().code == WHOLE and not Countersign.objects.exclude(refused="").exists()
    assert Event.objects.filter(action="log.fork").get().detail == {"kept": 20, "left": 60}


def test_a_fork_may_be_explained_after_the_log_went_on(glass: Glass) -> None:
    glass.grow(20, 30)
    take_guards_off()
    roll_back(20, 1)
    glass.grow(9)
    assert examine().code == ROLLED_BACK
    call_command("audit_fork", reason="Restored on Sunday, said on Monday.")
    glass.checkpoint()
    found = examine()
    assert found.code == WHOLE and "Sunday" in found.remarks[0]
    assert not Countersign.objects.exclude(refused="").exists(), "the witness signs the new line as well"


def test_a_backup_from_before_the_first_checkpoint_is_explained_too(glass: Glass) -> None:
    glass.write(3)
    take_guards_off()
    glass.grow(20)
    roll_back(3, 0)
    assert examine().code == ROLLED_BACK
    call_command("audit_fork", reason="An old copy was restored.")
    glass.grow(5)
    assert examine().code == WHOLE and log_state().witnessed == 1


def test_one_record_does_not_excuse_the_next_rollback(glass: Glass) -> None:
    glass.grow(20, 30)
    take_guards_off()
    roll_back(20, 1)
    call_command("audit_fork", reason="The disk broke.")
    glass.grow(8, 8)
    Countersign.objects.order_by("pk").last().delete()
    Checkpoint.objects.order_by("pk").last().delete()
    Event.objects.filter(place__gt=29).delete()
    Head.objects.update(place=29, digest=Event.objects.get(place=29).digest)
    found = examine()
    assert (found.code, found.place) == (ROLLED_BACK, 30)


def test_nothing_is_signed_where_nothing_was_left(glass: Glass) -> None:
    glass.grow(5)
    with pytest.raises(CommandError, match="holds everything"):
        call_command("audit_fork", reason="To be sure.")
    with pytest.raises(CommandError, match="Say why"):
        call_command("audit_fork", reason=" ")
    assert Checkpoint.objects.count() == 1
