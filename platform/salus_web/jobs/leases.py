"""What time it is for leases: the database's time, so that no worker's wrong clock holds a job or takes one away."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from salus_web.common.clock import now


def moment() -> datetime:
    """The database server's present moment (1 query on PostgreSQL); SQLite has no clock of its own."""
    if connection.vendor != "postgresql":
        return now()
    with connection.cursor() as cursor:
        # not the transaction's beginning: a claim may have waited for a lock since
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found


def lease_end() -> datetime:
    """Until when a lease taken or prolonged now holds."""
    return moment() + timedelta(seconds=settings.SALUS_LEASE_SECONDS)
