"""What workers say of themselves, and the figures they find at leisure. The operations page reads it; nothing else depends on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.files.storage import FileSystemStorage, storages
from django.db import IntegrityError

from salus_web.common.clock import now
from salus_web.common.keys import key_set
from salus_web.jobs.models import Measure, Worker

SAID_EVERY_SECONDS = 10
FORGOTTEN_AFTER = timedelta(days=7)
VAULT_BYTES, VAULT_FILES, KEY = "vault bytes", "vault files", "key "


def say_alive(*, name: str, queues: Sequence[str], started_at: datetime, versions: dict[str, str]) -> None:
    """A worker is there. One that starts again under the same name takes the place of the one before."""
    told = {
        "queues": ",".join(queues), "process_id": os.getpid(), "started_at": started_at, "seen_at": now(), "ended_at": None,
        "versions": versions,
    }  # fmt: skip
    Worker.objects.update_or_create(name=name[:120], defaults=told)
    Worker.objects.filter(seen_at__lt=now() - FORGOTTEN_AFTER).delete()


def say_ended(*, name: str) -> None:
    """A worker ended as it was told to; one that was killed says nothing and is missed."""
    Worker.objects.filter(name=name[:120], process_id=os.getpid()).update(ended_at=now())


def measure() -> None:
    """Find what a page cannot wait for: how much lies in the vault, and since when each master key is known here."""
    files, size = vault_size()
    if files is not None and size is not None:
        for name, value in ((VAULT_FILES, files), (VAULT_BYTES, size)):
            Measure.objects.update_or_create(name=name, defaults={"value": value, "at": now()})
    note_keys()


def note_keys() -> None:
    """Keep the moment at which each master key was first seen: a key itself does not say when it was made."""
    for name in key_set().keys:
        try:
            Measure.objects.get_or_create(name=f"{KEY}{name}", defaults={"at": now()})
        except IntegrityError:  # another worker saw it in this very moment
            continue


def vault_size() -> tuple[int | None, int | None]:
    """How many files lie in the vault and how large they are together; None for a vault that is no folder of this machine."""
    place = storages["vault"]
    if not isinstance(place, FileSystemStorage):
        return None, None
    files = size = 0
    for folder, _, names in os.walk(place.location):
        for name in names:
            try:
                size += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # it went away meanwhile
                continue
            files += 1
    return files, size
