"""What lies in the vault and belongs to nothing: blobs that no row names (a request was cut off, a transaction was undone), the
bytes of files that were refused long ago, and pieces of files that never arrived whole. Looks first; removes only when told to.

A blob counts as named when its name stands anywhere in a row where such names stand: in a column called `…key`, or inside
any JSON or free text column. Naming too much keeps too much, which is the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import models, transaction
from django.db.models import QuerySet

from salus_web.audit.services import Act, record
from salus_web.common import arrivals, vault
from salus_web.common.clock import now
from salus_web.ingest.models import Upload, UploadState

# a blob is written before the transaction that names it ends; nothing younger than this is looked at
YOUNG = timedelta(hours=24)
REFUSED_FOR = timedelta(days=30)
_NAME = re.compile(r"[0-9a-f]{40}")
_NO_BLOBS = frozenset({"source_key", "unique_key", "public_key", "session_key"})
_ROWS_AT_ONCE = 2_000


@dataclass
class Swept:
    """What was found, and whether it was removed."""

    nameless: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    half: int = 0
    is_removed: bool = False


def sweep(*, remove: bool, by: Any, young: timedelta = YOUNG, refused_for: timedelta = REFUSED_FOR) -> Swept:
    """Look through the whole vault; with `remove` also delete what was found, on the log."""
    found = Swept(is_removed=remove)
    found.refused = [str(upload.pk) for upload in _refused(refused_for)]
    kept = named()
    for folder in vault.folders():
        found.nameless += [key for key in vault.keys_in(folder) if key not in kept and vault.age(key) > young]
    found.half = len(arrivals.stale())
    if remove:
        # before the first of them goes: what cannot be logged is not removed
        record(Act("vault.sweep", "vault", detail={"nameless": len(found.nameless), "refused": len(found.refused), "half": found.half}), by=by)
        for upload in _refused(refused_for):
            forget_bytes(upload=upload, by=by)
        for key in found.nameless:
            vault.delete(key)
        arrivals.clear_stale()
    return found


def forget_refused(*, by: Any, at_most: int = 200) -> int:
    """Delete the bytes of files that were refused more than thirty days ago, some at a time; how many. The oldest first."""
    past = list(_refused(REFUSED_FOR).order_by("finished_at")[:at_most])
    for upload in past:
        forget_bytes(upload=upload, by=by)
    return len(past)


def _refused(older_than: timedelta) -> QuerySet[Upload]:
    """Refused uploads whose bytes are still here and that nothing else needs."""
    needed = Upload.objects.exclude(state=UploadState.REFUSED).values("blob_key")
    rows = Upload.objects.filter(state=UploadState.REFUSED, finished_at__lt=now() - older_than)
    return rows.exclude(blob_key="").exclude(blob_key__in=needed)


@transaction.atomic
def forget_bytes(*, upload: Upload, by: Any) -> None:
    """Delete the bytes of a refused upload. Its row stays, with the reason."""
    record(Act("upload.forget", "upload", str(upload.pk)), by=by)
    key = upload.blob_key
    Upload.objects.filter(pk=upload.pk).update(blob_key="")
    transaction.on_commit(lambda: vault.delete(key))


def named() -> set[str]:
    """Every name of a blob that stands in a row."""
    found: set[str] = set()
    for model in apps.get_models():
        names = [one.attname for one in model._meta.concrete_fields if may_name(one)]
        if names:
            for row in _rows(model, names):
                for value in row:
                    found.update(_NAME.findall(value if isinstance(value, str) else str(value)))
    return found


def may_name(one: Any) -> bool:
    """Whether a column may hold the name of a blob."""
    if isinstance(one, models.JSONField | models.TextField):
        return True
    return isinstance(one, models.CharField) and one.name.endswith("key") and one.name not in _NO_BLOBS


def _rows(model: type[models.Model], names: list[str]) -> Iterator[tuple[Any, ...]]:
    """Past the scoped managers: this reads names of files and nothing of anybody."""
    return QuerySet(model).values_list(*names).iterator(chunk_size=_ROWS_AT_ONCE)
