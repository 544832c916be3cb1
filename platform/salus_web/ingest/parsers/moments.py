"""When a film was made, as its tags say it (DA, TM and DT: PS3.5, 6.2). Pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

from pydicom.dataset import Dataset

from salus_web.ingest.parsers.forms import Unreadable

LEVELS = ("Acquisition", "Content", "Series", "Study")  # what tells of the film itself first
_DAY = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")  # points and colons: written so before 1993, and by some still
_CLOCK = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.\d{1,6})?)?)?")
_BOTH = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)([+-]\d{4})?")
_PART = re.compile(r"\d{4}(\d{2}){0,2}([+-]\d{4})?")
_ZONE = re.compile(r"([+-])(\d{2})([0-5]\d)")
FIRST_YEAR = 1895  # before it nobody was X-rayed


def moment_of(dataset: Dataset, name: str) -> str | None:
    """ISO 8601, with the offset that the object says; without one it is the time of the hospital's clock. None where no tag says a day
    and no tag beside it the time of that day. Raises Unreadable naming a tag that cannot be read.

    A day of one thing never gets the time of another. Where a day without a time is later than the moment found, the film may have
    been made after it: that is None as well.
    """
    zone = _zone(_said(dataset, "TimezoneOffsetFromUTC"), "TimezoneOffsetFromUTC", name)
    found, bare = _acquired(dataset, name, zone)
    for level in LEVELS:
        if found is not None:
            break
        day, clock = _said(dataset, f"{level}Date"), _said(dataset, f"{level}Time")
        if day and clock:
            found = _moment(_day(day, f"{level}Date", name), clock, f"{level}Time", name).replace(tzinfo=zone)
        elif day:
            bare.append(_day(day, f"{level}Date", name))
    if found is None or any(day > found.date() for day in bare):
        return None
    return found.isoformat()


def _said(dataset: Dataset, keyword: str) -> str:
    value: Any = dataset.get(keyword)
    return "" if value is None else str(value).strip(" \0")


def _acquired(dataset: Dataset, name: str, zone: tzinfo | None) -> tuple[datetime | None, list[date]]:
    """What AcquisitionDateTime says whole, or the day that it says alone."""
    keyword = "AcquisitionDateTime"
    said = _said(dataset, keyword)
    if found := _BOTH.fullmatch(said):
        moment = _moment(_day(found[1], keyword, name), found[2], keyword, name)
        return moment.replace(tzinfo=_zone(found[3] or "", keyword, name) or zone), []
    if said and not _PART.fullmatch(said):
        raise Unreadable(f"{name}: {keyword} “{said}” is not a date and time.")
    return None, [_day(said[:8], keyword, name)] if re.match(r"\d{8}", said) else []


def _day(said: str, keyword: str, name: str) -> date:
    found = _DAY.fullmatch(said)
    try:
        if found and FIRST_YEAR <= int(found[1]) < 9999:
            return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        pass  # said below
    raise Unreadable(f"{name}: {keyword} “{said}” is not a date.")


def _moment(day: date, said: str, keyword: str, name: str) -> datetime:
    found = _CLOCK.fullmatch(said)
    hour, minute, second = (int(part or 0) for part in found.groups()) if found else (24, 0, 0)
    if hour > 23 or minute > 59 or second > 60:
        raise Unreadable(f"{name}: {keyword} “{said}” is not a time of day.")
    return datetime(day.year, day.month, day.day, hour, minute, min(second, 59))  # 60 is a leap second


def _zone(said: str, keyword: str, name: str) -> tzinfo | None:
    """The offset from UTC; None where nothing is said."""
    if not said:
        return None
    found = _ZONE.fullmatch(said)
    minutes = int(f"{found[1]}1") * (60 * int(found[2]) + int(found[3])) if found else 9999
    if not -12 * 60 <= minutes <= 14 * 60:
        raise Unreadable(f"{name}: {keyword} “{said}” is not an offset from UTC.")
    return timezone(timedelta(minutes=minutes))
