"""Questions to what may not answer, such as a broker or another machine: a page waits for them a fifth of a second and no longer.

The question goes on in a thread of its own, and its answer is there for the next page. No more than one thread asks at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PATIENCE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, or why not."""

    value: Any = None
    trouble: str = ""


@dataclass
class Probe:
    """One question, how long its answer is good for, and what was answered last."""

    question: Callable[[], Any]
    good_for_seconds: float
    _asking: threading.Thread | None = None
    _answered_at: float = field(default=float("-inf"))
    _last: Answer = Answer(trouble="it has not answered yet")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Ask, unless the last answer is still good or somebody asks already."""
        with self._lock:
            is_asking = self._asking is not None and self._asking.is_alive()
            if is_asking or time.monotonic() - self._answered_at < self.good_for_seconds:
                return
            self._asking = threading.Thread(target=self._ask, daemon=True)
            self._asking.start()

    def answer(self, *, until: float) -> Answer:
        """What it says by a moment (`time.monotonic`). A thing that is asked and keeps silent has not answered."""
        asking = self._asking
        if asking is not None:
            asking.join(max(0.0, until - time.monotonic()))
            if asking.is_alive() and time.monotonic() - self._answered_at >= self.good_for_seconds:
                return Answer(trouble="it does not answer in time")
        return self._last

    def _ask(self) -> None:
        try:
            found = Answer(self.question())
        except Exception as reason:  # noqa: BLE001 - whatever it was, the answer is not known, and the page says why
            found = Answer(trouble=str(reason)[:200] or type(reason).__name__)
        self._last, self._answered_at = found, time.monotonic()
