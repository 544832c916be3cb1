"""What keeps the record safe: the log's checkpoints and witness, backups and restore drills."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import Error as DatabaseTrouble

from salus_web.audit.selectors import LogState, log_state
from salus_web.backups.models import RunKind
from salus_web.backups.schedule import DRILL_EVERY, LATE_AFTER
from salus_web.backups.selectors import last_run
from salus_web.common.clock import now
from salus_web.dashboard.pages.operations.figure import BAD, GOOD, LOOK, UNKNOWN, Figure, age, known, size

CHECKPOINT_LATE, DRILL_LATE = timedelta(minutes=5), DRILL_EVERY + timedelta(days=1)


def log_figures() -> list[Figure]:
    """The last checkpoint and the witness (5 queries)."""
    try:
        return figures_of(log_state())
    except DatabaseTrouble as reason:
        return [Figure(label, "not known", UNKNOWN, type(reason).__name__) for label in ("Last checkpoint", "Witness")]


def figures_of(state: LogState) -> list[Figure]:
    """The same of a state that was read already."""
    return [_checkpoint(state), _witness(state)]


def _checkpoint(state: LogState) -> Figure:
    if state.at is None:
        return Figure("Last checkpoint", "none yet", BAD if state.lines else LOOK, "Does a worker with the signer's key and the beat run?")
    said = f"number {state.sequence}, {age(state.at)}; {state.open_lines:,} lines wait for the next"
    # a quiet log asks for no checkpoint: it is a line that waits too long, not a checkpoint that is old
    is_late = state.waiting_since is not None and now() - state.waiting_since > CHECKPOINT_LATE
    return Figure("Last checkpoint", said, BAD if is_late else GOOD, "One is due each minute. Does the beat run?" if is_late else "")


def _witness(state: LogState) -> Figure:
    if state.refused:
        return Figure("Witness", "refuses to sign", BAD, f"{state.refused} Verify the log at once.")
    if not settings.SALUS_AUDIT_WITNESS and not state.witnessed:
        return Figure("Witness", "not set here, and nothing was signed", LOOK, "SALUS_AUDIT_WITNESS names it, where the worker runs.")
    if state.witnessed_at is None:
        return Figure("Witness", "has signed nothing yet", LOOK)
    behind = state.sequence - state.witnessed
    said = f"signed checkpoint {state.witnessed}, {age(state.witnessed_at)}"
    is_late = behind > 0 and now() - state.witnessed_at > CHECKPOINT_LATE
    return Figure("Witness", f"{said}; {behind} behind" if behind else said, LOOK if is_late else GOOD, "It does not answer." if is_late else "")


def backup_figures() -> list[Figure]:
    """The last backup and the last drill that ended well; a later one that did not is said first."""
    return [
        known("Last backup", lambda: _run(RunKind("backup"), "Last backup", LATE_AFTER, "manage.py backup, and see why manage.py keep_backups did not")),
        known("Last restore drill", lambda: _run(RunKind("drill"), "Last restore drill", DRILL_LATE, "manage.py restore_drill, and see why manage.py keep_backups did not")),
    ]


def _run(kind: RunKind, label: str, late: timedelta, command: str) -> Figure:
    good, bad = last_run(kind), last_run(kind, done=False)
    said = f"{age(good.finished_at)}, {good.backup}" if good else "none ended well yet"
    if good is not None and good.size_bytes:
        said += f", {size(good.size_bytes)}"
    if bad is not None and (good is None or bad.finished_at > good.finished_at):
        return Figure(label, said, BAD, f"The newest failed {age(bad.finished_at)}: {bad.reason}")
    if good is None:
        return Figure(label, said, BAD, f"Run {command}.")
    is_late = now() - good.finished_at > late
    return Figure(label, said, BAD if is_late else GOOD, f"Too long ago (more than {late / timedelta(hours=1):.0f} hours). Run {command}." if is_late else "")
