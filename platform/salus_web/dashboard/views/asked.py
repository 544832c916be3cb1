"""Reading what an address or a form asks for: numbers, days and moments. Wrong ones become a sentence or a default."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from django.http import HttpRequest
from django.utils.dateparse import parse_date, parse_datetime

from salus_web.common.errors import BadInput, Hidden


def whole(text: str) -> int | None:
    """A whole number of up to 18 digits, else None."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def as_uuid(text: str) -> UUID:
    """The id asked for. Raises Hidden for what is none: it is nobody's."""
    try:
        return UUID(text)
    except ValueError:
        raise Hidden("There is no such page.") from None


def page_number(request: HttpRequest, name: str = "page") -> int:
    """The page asked for; 1 for anything that is no number."""
    number = whole(request.GET.get(name, ""))
    return number if number and number < 1_000_000 else 1


def day(text: str) -> date | None:
    """A day, None where none is given. Raises BadInput for what is no day, such as 31 February."""
    try:
        found = parse_date(text) if text else None
    except ValueError:
        found = None
    if text and found is None:
        raise BadInput(f"“{text}” is not a date.")
    return found


def day_or_moment(text: str) -> date | datetime | None:
    """A day, or a day with a time of day (UTC), None where none is given. Raises BadInput for anything else."""
    if "T" not in text:
        return day(text)
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise BadInput(f"“{text}” is not a date with a time.")
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def moment(text: str) -> datetime | None:
    """A moment with its time zone, None for anything else."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
