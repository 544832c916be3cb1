"""How a line of the machine's own log is written: what kind of error and where, never what it said. An exception's words may
quote a value, a row or a file, and so a patient; its kind and its place are enough to find the fault."""

from __future__ import annotations

import logging
import traceback
from types import TracebackType

from salus_web.common.errors import causes

FRAMES = 12
Fault = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class PlainFacts(logging.Formatter):
    """Time, level, logger, message; of an exception its kind and the places it passed."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """As logging's, but a message that repeats the exception's words loses them."""
        kept = record.exc_text, record.msg, record.args
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        record.exc_text = None
        record.msg, record.args = _without_words(record.getMessage(), error), None
        try:
            return super().format(record)
        finally:  # other handlers get the record as it was
            record.exc_text, record.msg, record.args = kept

    def formatException(self, ei: Fault) -> str:
        """Kinds and places of the exception and of what caused it."""
        return "\n".join(_places(error) for error in causes(ei[1]))

    def formatStack(self, stack_info: str) -> str:
        """Nothing: source lines are in the repository."""
        return ""


def _places(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return "\n  ".join([type(error).__name__, *(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames)])


def _without_words(message: str, error: BaseException | None) -> str:
    for one in causes(error):
        for words in sorted({repr(one), str(one)}, key=len, reverse=True):
            if len(words) > 2:
                message = message.replace(words, type(one).__name__)
    return message
