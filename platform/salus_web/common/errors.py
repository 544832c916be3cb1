"""The platform's own error family. Messages are sentences for the person who will read them.

SalusError
├── Refused          the person may not do this, or not now
│   └── Hidden       the person may not know that this exists (answers 404)
├── BadInput         what came in is wrong; names the file, row, tag or field
├── StateConflict    the thing is in a state that does not allow this
├── Withheld         the person may know of this patient, whose data is erased or not allowed to be used so
├── LogNotWritten    the audit log could not be written, so nothing may be shown or changed
├── NoRoom           the disk is almost full, so nothing new is taken in (answers 507)
├── ScopeMissing     code read a patient table without saying for whom
└── IntegrityBroken  stored bytes are not what was stored
"""

from __future__ import annotations

from collections.abc import Iterator


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then what it was raised from or beside, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


class SalusError(Exception):
    """Base of the family."""


class Refused(SalusError):
    """The person may not do this, or not now."""


class Hidden(Refused):
    """The person may not know that this exists; the web answers 404. `is_logged`: the try stands on the log already."""

    def __init__(self, sentence: str, *, is_logged: bool = False) -> None:
        super().__init__(sentence)
        self.is_logged = is_logged


class BadInput(SalusError):
    """What came in is wrong. The sentence names the file, row, tag or field."""


class StateConflict(SalusError):
    """The thing is in a state that does not allow this."""


class Withheld(SalusError):
    """This patient's data was erased, or they do not allow it to be used so; no fault, and a page of its own."""

    def __init__(self, state: str, sentence: str) -> None:
        super().__init__(sentence)
        self.state = state


class LogNotWritten(SalusError):
    """The audit log could not be written, so nothing may be shown or changed; the web answers 503."""


class NoRoom(SalusError):
    """The disk is almost full, so nothing new is taken in; the web answers 507."""


class ScopeMissing(SalusError):
    """Code read a patient table without saying for whom."""


class IntegrityBroken(SalusError):
    """Stored bytes are not what was stored."""
