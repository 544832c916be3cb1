"""What workers say of themselves, and the figures they find at leisure. The operations page reads it; nothing else depends on it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.files.storage import FileSystemStorage, storages

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
    found = _vault_size()
    if found is not None:
        for name, value in zip((VAULT_FILES, VAULT_BYTES), found, strict=True):
            Measure.objects.update_or_create(name=name, defaults={"value": value, "at": now()})
    for key in key_set().keys:  # a key itself does not say when it was made: the moment at which it was first seen stays
        Measure.objects.get_or_create(name=f"{KEY}{key}", defaults={"at": now()})


def _vault_size() -> tuple[int, int] | None:
    """How many files lie in the vault and how large they are together; None for a vault that is no folder of this machine."""
    place = storages["vault"]
    if not isinstance(place, FileSystemStorage):
        return None
    files = size = 0
    for folder, _, names in os.walk(place.location):
        for name in names:
            try:
                size += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:  # it went away meanwhile
                continue
            files += 1
    return files, size
