"""The beat of sessions that ran out: what was kept for their browsers goes."""

from __future__ import annotations

from django.db import close_old_connections
from salus_web.accounts.sessions import forget_expired
from salus_web.jobs.celery import FORGET_SESSIONS, app


@app.task(name=FORGET_SESSIONS)
def forget_expired_sessions() -> None:
    """One round."""
    close_old_connections()
    forget_expired()
