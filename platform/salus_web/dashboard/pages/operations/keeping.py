"""What keeps the record safe: the log's checkpoints and witness, backups and restore drills, keys, the certificate."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import Error as DatabaseTrouble

from salus_web.audit.selectors import LogState, last_done, log_state
from salus_web.backups.models import RunKind
from salus_web.backups.selectors import last_run
from salus_web.common.clock import now
from salus_web.common.keys import key_set
from salus_web.dashboard.certificate import Certificate
from salus_web.dashboard.pages.operations.figure import (
    BAD,
    GOOD,
    LOOK,
    UNKNOWN,
    Figure,
    age,
    known,
    size,
)
from salus_web.dashboard.probes import Answer
from salus_web.jobs.models import Measure
from salus_web.jobs.workers import KEY

CHECKPOINT_LATE, BACKUP_LATE, DRILL_LATE = timedelta(minutes=5), timedelta(hours=26), timedelta(days=35)
KEY_OLD, CERTIFICATE_SOON = timedelta(days=365), timedelta(days=21)


def log_figures() -> list[Figure]:
    """The last checkpoint and the witness (4 queries)."""
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
    is_late = state.open_lines > 0 and now() - state.at > CHECKPOINT_LATE
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
        known("Last backup", lambda: _run(RunKind("backup"), "Last backup", BACKUP_LATE, "manage.py backup")),
        known("Last restore drill", lambda: _run(RunKind("drill"), "Last restore drill", DRILL_LATE, "manage.py restore_drill")),
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
    return Figure(label, said, BAD if is_late else GOOD, f"Too long ago (more than {late.days or 1} days). Run {command}." if is_late else "")


def key_figures(measures: dict[str, Measure]) -> list[Figure]:
    """How long the current master key has been in use, and the last rotation."""
    return [known("Master key", lambda: _master(measures)), known("Last rotation", _rotation)]


def _master(measures: dict[str, Measure]) -> Figure:
    current = key_set().current
    seen = measures.get(f"{KEY}{current}")
    if seen is None:
        return Figure("Master key", f"{current}, age not known", UNKNOWN, "A worker notes when it first sees a key.")
    days = (now() - seen.at).days
    is_old = now() - seen.at > KEY_OLD
    said = f"{current}, here since {seen.at:%d %b %Y} ({days} days)"
    return Figure("Master key", said, LOOK if is_old else GOOD, "Over a year old: manage.py rotate_keys." if is_old else "")


def _rotation() -> Figure:
    found = last_done(action="keys.rotated")
    if found is None:
        return Figure("Last rotation", "never", hint="See docs/administrator/keys.md.")
    broken = found.detail.get("broken", 0)
    said = f"{age(found.at)}, {found.detail.get('moved', 0):,} values moved"
    return Figure("Last rotation", said, BAD if broken else GOOD, f"{broken} places did not open: verify a backup." if broken else "")


def certificate_figure(answer: Answer | None) -> Figure:
    """Until when the site's certificate is good."""
    label = "Certificate"
    if answer is None:
        return Figure(label, "not set", UNKNOWN, "SALUS_CERTIFICATE names its PEM file, or the address that shows it.")
    if answer.trouble:
        return Figure(label, "not known", UNKNOWN, answer.trouble)
    found: Certificate = answer.value
    left = found.until - now()
    said = f"made {age(found.since)}, good until {found.until:%d %b %Y} ({left.days} days), {found.subject}"
    if found.until <= now() or found.since > now():
        return Figure(label, said, BAD, "It is not good now: browsers refuse the site.")
    return Figure(label, said, LOOK if left < CERTIFICATE_SOON else GOOD, "It ends soon: have it renewed." if left < CERTIFICATE_SOON else "")
