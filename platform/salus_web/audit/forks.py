"""The signed word that a backup was restored: which line was left, what was kept of it, and why."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from salus_web.audit.chain import GENESIS
from salus_web.audit.checkpoints import EMPTY_ROOT, keep, last_note, signer_key
from salus_web.audit.line import Checkpoint as Reached
from salus_web.audit.line import Line, read_line
from salus_web.audit.models import Checkpoint
from salus_web.audit.notes import SIGNER, sign
from salus_web.audit.reading import signed_notes
from salus_web.audit.services import Act, record
from salus_web.audit.telling import filed_notes, witness_last
from salus_web.common.clock import now
from salus_web.common.errors import BadInput, StateConflict


def fork_log(*, reason: str, by: Any) -> Checkpoint:
    """Sign that the line which others saw was left, because this database was restored from a backup.

    Raises BadInput without a reason, StateConflict when nothing was left or this process cannot sign.
    """
    if not reason.strip():
        raise BadInput("Say why the backup was restored.")
    key = signer_key()
    held = read_line(signed_notes(), signer=key.public_key())
    filed = read_line(filed_notes() or (), signer=key.public_key())
    left = _left(held, filed)
    newest = last_note()
    content = {
        "kind": "fork", "kept": _kept(held, filed, left), "left": left, "reason": reason.strip()[:300], "by": by.name,
        "at": now().isoformat(timespec="seconds"), "previous": newest.note if newest else GENESIS,
    }  # fmt: skip
    with transaction.atomic():
        row = keep(sign(content, key=key, voice=SIGNER), content)
        record(Act("log.fork", "log", detail={"kept": content["kept"]["size"], "left": left["size"]}), by=by)
    return row


def _left(held: Line, filed: Line) -> dict[str, Any]:
    """The last checkpoint that others saw and this database does not hold: the witness's word first, else the file's."""
    explained = {fork.left["checkpoint"] for fork in held.forks}
    tips = [branch[-1] for branch in filed.unexplained(held.forks)] or filed.checkpoints[-1:]
    tip = next((one for one in tips if one.note not in held.notes), None)
    witnessed = witness_last()
    if witnessed and witnessed["note"] not in held.notes and witnessed["checkpoint"] not in explained:
        return _named(witnessed) | {"filed": tip.note if tip else ""}
    if tip is None:
        raise StateConflict("This database holds everything that the file of checkpoints and the witness have seen.")
    return _as_left(tip) | {"filed": tip.note}


def _named(statement: dict[str, Any]) -> dict[str, Any]:
    return {name: statement[name] for name in ("checkpoint", "sequence", "size", "root")}


def _as_left(reached: Reached) -> dict[str, Any]:
    return {"checkpoint": reached.note, "sequence": reached.sequence, "size": reached.size, "root": reached.root}


def _kept(held: Line, filed: Line, left: dict[str, Any]) -> dict[str, Any]:
    """The last checkpoint of the line left that this database still holds; the empty log when there is none."""
    path = filed.checkpoints
    for branch in filed.branches:
        if left["filed"] in {reached.note for reached in branch}:
            path = [*filed.checkpoints[: branch[0].sequence - 1], *branch]
    seen = {reached.note for reached in path} or _countersigned()
    common = [reached for reached in held.checkpoints if reached.note in seen]
    nothing = {"checkpoint": GENESIS, "sequence": 0, "size": 0, "root": EMPTY_ROOT}
    return _as_left(common[-1]) if common else nothing


def _countersigned() -> set[str]:
    """The notes that the witness signed, as this database remembers it."""
    return set(Checkpoint.objects.exclude(countersign__body="").filter(countersign__isnull=False).values_list("note", flat=True))
