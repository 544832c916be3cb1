"""One figure of the operations page and its state. What cannot be read is not known; it is never taken for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error as DatabaseTrouble

from salus_web.common.clock import now
from salus_web.common.errors import SalusError

GOOD, LOOK, BAD, UNKNOWN, PLAIN = "good", "look", "bad", "unknown", "plain"
MARKS = {GOOD: "✓", LOOK: "!", BAD: "✕", UNKNOWN: "?", PLAIN: ""}
WORDS = {GOOD: "well", LOOK: "look at this", BAD: "act now", UNKNOWN: "not known", PLAIN: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """What it is, what was found, how that stands, and what to do about it."""

    label: str
    said: str
    state: str = PLAIN
    hint: str = ""

    @property
    def mark(self) -> str:
        """The sign of its state."""
        return MARKS[self.state]

    @property
    def word(self) -> str:
        """The word of its state."""
        return WORDS[self.state]


def known(label: str, find: Callable[[], Figure]) -> Figure:
    """The figure, or that it is not known and why."""
    try:
        return find()
    except (OSError, ValueError, SalusError, DatabaseTrouble) as reason:
        said = f"{type(reason).__name__}" if isinstance(reason, DatabaseTrouble) else str(reason)[:200]
        return Figure(label, "not known", UNKNOWN, said)


def age(moment: datetime) -> str:
    """How long ago, in words."""
    minutes = int((now() - moment) / timedelta(minutes=1))
    if minutes < 2:
        return "just now" if minutes < 1 else "1 minute ago"
    if minutes < 120:
        return f"{minutes} minutes ago"
    return f"{minutes // 60} hours ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def size(count: float) -> str:
    """A number of bytes as a person says it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
