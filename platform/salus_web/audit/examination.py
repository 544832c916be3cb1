"""The database's own log put before the verifier, with what the file of checkpoints and the witness remember of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings

from salus_web.audit.line import Line, read_line
from salus_web.audit.models import Checkpoint
from salus_web.audit.notes import BadNote, public_key
from salus_web.audit.reading import beyond_heads, heads, lines, signed_notes
from salus_web.audit.telling import filed_notes, witness_last
from salus_web.audit.verifier import CHANGED, WHOLE, Finding, Seen, verify, walk
from salus_web.common.clock import now
from salus_web.common.errors import IntegrityBroken, StateConflict


def examine(*, report: Callable[[int, int], None] | None = None) -> Finding:
    """Verify the whole log of this database. Lines that come while it is read are left for the next time.

    Raises StateConflict without the signer's public key, IntegrityBroken when the witness speaks with another key.
    """
    # others first and the events last: whatever is read later can only have grown, so that a working log is never accused
    key = _signer()
    seen = _seen(key)
    held = read_line(signed_notes(), signer=key) if key else Line()
    ends = heads()
    total = sum(place for place, _ in ends.values())
    walked = walk(lines(ends, report=(lambda done: report(done, total)) if report else None))
    found = verify(walked, heads=ends, held=held, seen=seen)
    behind = beyond_heads() if found.code == WHOLE else None
    if behind is None:
        return found
    return Finding(CHANGED, walked.lines, f"A line stands behind the end of the log: line {behind[1]} of stripe {behind[0]}.", *behind)


def _signer() -> Ed25519PublicKey | None:
    path = settings.SALUS_AUDIT_DIR / "signer.pub"
    if path.exists():
        return public_key(path.read_text())
    if Checkpoint.objects.exists() or filed_notes() is not None:
        raise StateConflict("The signer's public key (signer.pub in the audit folder) is missing, so no checkpoint can be checked.")
    return None


def _seen(key: Ed25519PublicKey | None) -> Seen:
    try:
        witnessed = witness_last()
    except BadNote as reason:
        raise IntegrityBroken(f"The witness's word cannot be trusted. {reason} Check witness.pub in the audit folder.") from None
    notes = filed_notes() if key else None
    return Seen(read_line(notes, signer=key) if notes is not None and key else None, witnessed)


def as_result(found: Finding, *, started: float) -> dict[str, Any]:
    """What is kept of an examination on its job. `started` is time.monotonic() of its begin."""
    return asdict(found) | {
        "remarks": list(found.remarks), "seconds": round(time.monotonic() - started, 2), "at": now().isoformat(timespec="seconds"),
    }  # fmt: skip
