"""A log with checkpoints, a file of them and a witness in a folder of its own, for tests and drills."""

from __future__ import annotations

import importlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from salus_web.audit import telling
from salus_web.audit.checkpoints import make_checkpoint
from salus_web.audit.notes import load_or_make_key
from salus_web.audit.services import Act, record_many
from salus_web.audit.telling import show_witness, write_file
from salus_web.audit.witness import Witness

from tests.factories.people import SYSTEM

ACTIONS = ("patient.read", "prediction.read", "image.read", "record.store")


@dataclass
class Glass:
    """A folder with the signer's key, the file of checkpoints and a witness; and the log of the test's database."""

    folder: Path
    witness: Witness

    def write(self, count: int, *, seed: int = 0) -> None:
        """Append so many lines."""
        chance = random.Random(seed)
        record_many(
            [
                Act(chance.choice(ACTIONS), "patient", str(number), f"{chance.getrandbits(128):032x}", "care", detail={"n": number})
                for number in range(count)
            ],
            by=SYSTEM,
        )

    def checkpoint(self) -> None:
        """What the beat does."""
        make_checkpoint()
        write_file()
        show_witness()

    def grow(self, *counts: int) -> None:
        """So many lines under each checkpoint."""
        for number, count in enumerate(counts):
            self.write(count, seed=number)
            self.checkpoint()


def make_glass(folder: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Glass:
    """Point the settings to a folder. The witness answers in this process, with its own key and memory."""
    settings.SALUS_AUDIT_DIR, settings.SALUS_AUDIT_WITNESS = folder, f"folder:{folder / 'witness'}"
    settings.SALUS_AUDIT_SIGNER_KEY_FILE = str(folder / "signer.key")
    load_or_make_key(folder / "signer.key")
    glass = Glass(folder, Witness(folder / "witness"))
    real = telling.ask

    def ask(request: dict[str, Any]) -> dict[str, Any] | None:
        return glass.witness.answer(request) if settings.SALUS_AUDIT_WITNESS.startswith("folder:") else real(request)

    monkeypatch.setattr(telling, "ask", ask)
    (folder / "witness.pub").write_text((folder / "witness" / "witness.pub").read_text())
    return glass


def take_guards_off() -> None:
    """What somebody does first who can write to the database and wants to change the log. Inside the test's transaction."""
    events = importlib.import_module("salus_web.audit.migrations.0002_refuse_changes")
    checkpoints = importlib.import_module("salus_web.audit.migrations.0003_stripes_and_checkpoints")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in ("audit_event", "audit_checkpoint"):
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        return
    editor = _Editor()
    events.backwards(apps, editor)
    checkpoints.unguard_checkpoints(apps, editor)


class _Editor:
    """Runs a migration's statements in the transaction that is open."""

    connection = connection

    def execute(self, statement: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement)
