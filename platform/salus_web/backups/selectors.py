"""What is known of backups."""

from __future__ import annotations

from salus_web.backups.models import Run, RunKind


def last_run(kind: RunKind, *, done: bool = True) -> Run | None:
    """The newest backup or drill that ended well, or badly (1 query)."""
    return Run.objects.filter(kind=kind, done=done).order_by("-finished_at").first()
