"""Making checkpoints: the tree's root is signed, chained to the last, kept in the database and a file, shown to the witness.

The signer's key is a file of its own; a process to which no such file is named cannot sign and makes none.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import IntegrityError, transaction

from salus_web.audit import merkle
from salus_web.audit.chain import GENESIS
from salus_web.audit.models import Checkpoint, Event
from salus_web.audit.notes import SIGNER, BadNote, Note, load_key, public_hex, sign
from salus_web.audit.reading import heads
from salus_web.audit.verifier import MARK_BYTES
from salus_web.common.clock import now
from salus_web.common.errors import StateConflict

EVERY_LINES, EVERY_SECONDS = 1_000, 60
LINES_AT_MOST = 50_000
EMPTY_ROOT = merkle.EMPTY.hex()


def signer_path() -> Path | None:
    """Where this process finds the signer's key, if it may sign at all."""
    return Path(settings.SALUS_AUDIT_SIGNER_KEY_FILE) if settings.SALUS_AUDIT_SIGNER_KEY_FILE else None


def signer_key() -> Ed25519PrivateKey:
    """The signer's key; its public half is left in the audit folder for whoever verifies. Raises StateConflict without one."""
    path = signer_path()
    if path is None or not path.exists():
        raise StateConflict("This process has no signer's key (SALUS_AUDIT_SIGNER_KEY_FILE), so it cannot sign.")
    try:
        key = load_key(path)
    except BadNote as reason:
        raise StateConflict(str(reason)) from None
    public = settings.SALUS_AUDIT_DIR / "signer.pub"
    if not public.exists():
        public.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        public.write_text(public_hex(key) + "\n")
    return key


def last_note(kind: str = "") -> Checkpoint | None:
    """The newest signed note, of a kind if asked (1 query)."""
    rows = Checkpoint.objects.defer("marks").order_by("-pk")
    return (rows.filter(kind=kind) if kind else rows).first()


def is_due() -> bool:
    """Whether a thousand lines have come since the last checkpoint, or any line and a minute (2 queries)."""
    found = last_note("checkpoint")
    last: dict[str, Any] = json.loads(found.body) if found else {"size": 0, "at": ""}
    fresh = sum(place for place, _ in heads().values()) - last["size"]
    is_old = not last["at"] or now() - datetime.fromisoformat(last["at"]) >= timedelta(seconds=EVERY_SECONDS)
    return fresh >= EVERY_LINES or (fresh > 0 and is_old)


def make_checkpoint() -> Checkpoint | None:
    """Sign a checkpoint over the lines that came since the last; None when there are none or another process was quicker.

    The act is no event of the log: each would ask for the next checkpoint.
    """
    key = signer_key()
    try:
        with transaction.atomic():
            return _next(key)
    except IntegrityError:
        return None


def _next(key: Ed25519PrivateKey) -> Checkpoint | None:
    last, newest = last_note("checkpoint"), last_note()
    before: dict[str, Any] = json.loads(last.body) if last else {"sequence": 0, "size": 0, "heads": {}}
    reached = {int(stripe): place for stripe, (place, _) in before["heads"].items()}
    ends, fresh = _fresh(reached)
    if not fresh:
        return None
    tree = merkle.Tree(before["size"], [bytes.fromhex(peak) for peak in last.peaks] if last else [])
    leaves = [merkle.leaf(bytes.fromhex(digest)) for digest in fresh]
    proof = merkle.consistency(tree, leaves)
    tree.add(leaves)
    marks = b"".join(bytes.fromhex(digest[: 2 * MARK_BYTES]) for digest in fresh)
    content = {
        "kind": "checkpoint", "sequence": before["sequence"] + 1, "size": tree.size, "root": tree.root().hex(),
        "heads": {**before["heads"], **ends}, "marks": hashlib.sha256(marks).hexdigest(),
        "previous": newest.note if newest else GENESIS, "at": now().isoformat(timespec="seconds"),
    }  # fmt: skip
    return keep(
        sign(content, key=key, voice=SIGNER), content, marks=marks, peaks=[peak.hex() for peak in tree.peaks],
        proof=[part.hex() for part in proof],
    )  # fmt: skip


def _fresh(reached: dict[int, int]) -> tuple[dict[str, tuple[int, str]], list[str]]:
    """How far each stripe goes with this checkpoint, and the digests that are new, in the tree's order."""
    ends: dict[str, tuple[int, str]] = {}
    fresh: list[str] = []
    for stripe, (place, _) in sorted(heads().items()):
        rows = Event.objects.filter(stripe=stripe, place__gt=reached.get(stripe, 0), place__lte=place).order_by("place")
        found = list(islice(rows.values_list("place", "digest"), LINES_AT_MOST - len(fresh)))
        if found:
            ends[str(stripe)] = found[-1]
            fresh += [digest for _, digest in found]
    return ends, fresh


def keep(note: Note, content: dict[str, Any], **columns: Any) -> Checkpoint:
    """Store a signed note behind the newest."""
    return Checkpoint.objects.create(
        previous=content["previous"], note=note.digest, kind=content["kind"], body=note.body, signature=note.signature, **columns
    )
