"""The zone of the hospital's clock, as the environment names it. Read by base.py."""

from __future__ import annotations

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured


def zone_named(name: str) -> tzinfo:
    """The zone of a name of the IANA list, such as Europe/Vienna. Raises ImproperlyConfigured for one that is not on it."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ImproperlyConfigured(f"SALUS_HOSPITAL_ZONE: “{name}” is no time zone. Say one as Europe/Vienna or America/New_York.") from error
