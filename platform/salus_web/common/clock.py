"""The one place that reads the time, so that tests can set it. Always aware UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SENT_TWICE = timedelta(seconds=10)  # the same form of the same person again within this was sent twice, not meant twice


def now() -> datetime:
    """The present moment, aware UTC."""
    return datetime.now(UTC)
