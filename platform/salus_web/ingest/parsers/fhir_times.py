"""When FHIR says that something was: a moment, or only a day, a month or a year, read by the hospital's clock. Pure.

A day is no moment. What is dated by one counts as known from the end of it, so that nothing of the day of an index moment is read
as known before that moment; a stay begins with its day and ends with it. Nothing is known later than the moment the file came in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from salus_web.ingest.parsers.forms import LeftOut, Unreadable

_DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_SECOND = timedelta(seconds=1)
# clocks differ, and days begin elsewhere; what lies further ahead is no time at which something was found
AHEAD_AT_MOST = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From and to; the same for a moment. `is_rough` where only a month or a year is said."""

    first: datetime
    last: datetime
    is_rough: bool = False


@dataclass(frozen=True, slots=True)
class Clock:
    """When the file came in, and the zone of the hospital's clock."""

    received_at: datetime
    zone: tzinfo = UTC

    @property
    def received(self) -> str:
        """The moment the file came in, as it is kept."""
        return _kept(self.received_at)

    def known(self, text: Any, place: str, field: str, *, rough: bool = False) -> str:
        """From when something counts as known: the moment, or the end of the day (`rough`: also of the month or year)."""
        span = self._span(text, place, field, rough)
        return _kept(span.last if span.first == span.last else min(span.last, self.received_at))

    def start(self, text: Any, place: str, field: str, *, rough: bool = False) -> str:
        """When something began: the moment, or the beginning of the day."""
        return _kept(self._span(text, place, field, rough).first)

    def end(self, text: Any, place: str, field: str, *, rough: bool = False) -> str:
        """When something ended: the moment, or the end of the day; of a month or year that is not over, now."""
        span = self._span(text, place, field, rough)
        return _kept(min(span.last, self.received_at) if span.is_rough else span.last)

    def is_over(self, text: Any, place: str, field: str) -> bool:
        """Whether the end of what holds until then had passed when the file came in; it may lie ahead by any time."""
        return self._read(text, place, field).last < self.received_at

    def _span(self, text: Any, place: str, field: str, rough: bool) -> Span:
        span = self._read(text, place, field)
        if span.first > self.received_at + AHEAD_AT_MOST:
            raise Unreadable(f"{place}: {field} “{text}” lies ahead: the file came in on {self.received_at:%Y-%m-%d}.")
        if span.is_rough and not rough:
            raise LeftOut("dated only by month or year")
        return span

    def _read(self, text: Any, place: str, field: str) -> Span:
        if text is None:
            raise Unreadable(f"{place}: {field} is missing.")
        written = _DATE.fullmatch(str(text))
        try:
            span = self._days(written) if written else _moment(str(text))
        except (ValueError, OverflowError):
            raise Unreadable(f"{place}: {field} “{text}” is not a date and time.") from None
        if span is None:  # hours without a zone may be wrong by half a day; FHIR asks for one
            raise Unreadable(f"{place}: {field} “{text}” has no time zone.")
        return span

    def _days(self, written: re.Match[str]) -> Span:
        """From the first moment of a day, month or year to its last second. Raises ValueError."""
        year, month, day = (int(part) if part else 0 for part in written.groups())
        first = datetime(year, month or 1, day or 1)
        if day:
            after = first + timedelta(days=1)
        else:
            after = datetime(year + (month in {0, 12}), month % 12 + 1 if month else 1, 1)
        return Span(self._utc(first), self._utc(after) - _SECOND, not day)

    def _utc(self, local: datetime) -> datetime:
        return local.replace(tzinfo=self.zone).astimezone(UTC)


def _moment(text: str) -> Span | None:
    """A moment; None where it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        return None
    return Span(moment.astimezone(UTC), moment.astimezone(UTC))


def _kept(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
