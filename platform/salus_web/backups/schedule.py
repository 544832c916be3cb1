"""When a backup and a restore drill are due, and that one is late. Decides and runs; how one is taken or tried is elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.db import transaction

from salus_web.audit.selectors import last_done
from salus_web.audit.services import Act, record
from salus_web.audit.shell import SHELL
from salus_web.backups.drilling import restore_drill
from salus_web.backups.models import Run, RunKind
from salus_web.backups.selectors import last_run
from salus_web.backups.taking import take_backup
from salus_web.common.clock import now
from salus_web.common.errors import SalusError

BACKUP, DRILL = RunKind("backup"), RunKind("drill")
DAY = timedelta(days=1)
DRILL_EVERY = 7 * DAY
LATE_AFTER = timedelta(hours=26)
TRY_AGAIN_AFTER = timedelta(hours=1)
LATE = "backup.late"
logger = logging.getLogger(__name__)


def backup_is_due(*, hour: int) -> bool:
    """Whether no good backup was begun since the hour (UTC) last struck, and none was tried a moment ago."""
    return not _begun_since(BACKUP, _last_stroke(hour)) and not _tried_lately(BACKUP)


def drill_is_due() -> bool:
    """Whether there is a backup, and none was put back on trial for a week."""
    return last_run(BACKUP) is not None and not _begun_since(DRILL, now() - DRILL_EVERY) and not _tried_lately(DRILL)


def late_by() -> timedelta | None:
    """How old the newest good backup is when it is too old, counted from the first try where there never was one; else None."""
    good = last_run(BACKUP)
    first = good or Run.objects.filter(kind=BACKUP).order_by("finished_at").first()
    age = now() - first.finished_at if first else timedelta()
    return age if age > LATE_AFTER else None


def keep_up(*, place: Path, key_file: Path, hour: int) -> Iterator[str]:
    """Do what is due and say what became of it. A reason to fail is a row and a line of the log, and is tried again in an hour."""
    if backup_is_due(hour=hour):
        try:
            yield f"{take_backup(to=place, key_file=key_file).backup} was taken."
        except SalusError as reason:
            yield f"The backup could not be taken: {reason}"
    if drill_is_due():
        try:
            run = restore_drill(place=place, key_file=key_file)
            yield f"{run.backup} was put back and is what was copied." if run.done else f"{run.backup} could not be put back: {run.reason}"
        except SalusError as reason:
            yield f"The restore drill could not be run: {reason}"
    age = late_by()
    if age is not None:
        yield _say_late(age)


def _say_late(age: timedelta) -> str:
    """In the process's log each time, on the audit log once a day."""
    sentence = f"The last good backup is {age.total_seconds() / 3600:.0f} hours old."
    logger.error(sentence)
    said = last_done(action=LATE)
    if said is None or now() - said.at > DAY:
        with transaction.atomic():
            record(Act(LATE, "backup", outcome="failed", detail={"hours": round(age.total_seconds() / 3600)}), by=SHELL)
    return sentence


def _last_stroke(hour: int) -> datetime:
    today = now().replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today <= now() else today - DAY


def _begun_since(kind: RunKind, moment: datetime) -> bool:
    return Run.objects.filter(kind=kind, done=True, started_at__gte=moment).exists()


def _tried_lately(kind: RunKind) -> bool:
    return Run.objects.filter(kind=kind, finished_at__gte=now() - TRY_AGAIN_AFTER).exists()
