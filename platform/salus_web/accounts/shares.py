"""How much of a web process one person may take, and how fast one address may be wrong at the sign-in: buckets that fill at a
steady flow and are emptied by what is asked (a token bucket). Requests are not alike, so counting them alone would let whoever
asks for dear ones in; and a wrong password costs as much as ten pages.

Each process keeps its own: with more processes there is more to share. A person's is processor time, the thread's and the
database server's, which a busy machine does not make longer. A share holds only while the process is busy: who asks while
nobody else does takes nothing from anybody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, exp
from threading import Lock

from django.conf import settings

from salus_web.accounts.database_time import counted

DEAREST_SECONDS = 0.5  # one request is never counted as more, so that a long report shuts nobody out
KEPT_AT_MOST = 20_000


@dataclass
class _Bucket:
    """What is left (below zero: overdrawn), when it was counted, and the minute that has its line on the log."""

    left: float
    at: float
    noted: int = -1


class Buckets:
    """The buckets of this process, each holding at most `full`; an empty one is open again when `least` has flowed in."""

    def __init__(self, full: float, least: float) -> None:
        self.full, self.least = full, least
        self._buckets: dict[str, _Bucket] = {}
        self._lock = Lock()

    def seconds_to_wait(self, who: str, flow: float) -> tuple[int, bool]:
        """Seconds to wait when nothing is left (0: go on), and whether that is the first such in this minute. Without a flow
        nothing is counted."""
        with self._lock:
            bucket = self._filled(who, flow) if flow else None
            if bucket is None or bucket.left > 0:
                return 0, False
            minute = int(bucket.at // 60)
            first, bucket.noted = bucket.noted != minute, minute
            return max(1, ceil((self.least - bucket.left) / flow)), first

    def take(self, who: str, amount: float, flow: float) -> None:
        """Take so much out."""
        if not flow:
            return
        with self._lock:
            if len(self._buckets) >= KEPT_AT_MOST:
                emptied_since = time.monotonic() - self.full / flow  # older ones are full again
                self._buckets = {who: one for who, one in self._buckets.items() if one.at > emptied_since}
            bucket = self._filled(who, flow) or self._buckets.setdefault(who, _Bucket(self.full, time.monotonic()))
            bucket.left = max(bucket.left - amount, -self.full)  # in quiet times much may be taken, and is not held against anybody for long

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._buckets.clear()

    def _filled(self, who: str, flow: float) -> _Bucket | None:
        """The bucket with what flowed in since it was counted last."""
        bucket = self._buckets.get(who)
        if bucket is not None:
            moment = time.monotonic()
            bucket.left, bucket.at = min(self.full, bucket.left + flow * (moment - bucket.at)), moment
        return bucket


class Load:
    """Which part of the last seconds this process computed for anybody (an exponentially weighted mean)."""

    def __init__(self, over_seconds: float) -> None:
        self.over_seconds = over_seconds
        self._level, self._at = 0.0, 0.0
        self._lock = Lock()

    def now(self) -> float:
        """From 0 (idle) to about 1."""
        with self._lock:
            return self._fallen(time.monotonic())

    def add(self, seconds: float) -> None:
        """So much was computed just now."""
        with self._lock:
            moment = time.monotonic()
            self._level, self._at = self._fallen(moment) + seconds / self.over_seconds, moment

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._level = 0.0

    def _fallen(self, moment: float) -> float:
        return self._level * exp(min(0.0, self._at - moment) / self.over_seconds)


BUSY = 0.25  # fifty people at work keep each of two processes busier than this
shares = Buckets(full=0.6, least=0.03)  # seconds: some twenty ordinary pages at once; one page
load = Load(over_seconds=3.0)
wrong_sign_ins = Buckets(full=5, least=1)


def seconds_over_share(who: str) -> tuple[int, bool]:
    """As `seconds_to_wait` of the person's share; nothing while the process has time for everybody."""
    return shares.seconds_to_wait(who, settings.SALUS_SHARE_PER_PERSON) if load.now() > BUSY else (0, False)


@contextmanager
def spending(who: str) -> Iterator[None]:
    """What is done inside is taken from the person's share."""
    with counted() as spent:
        try:
            yield
        finally:
            taken = spent.seconds()
            load.add(taken)
            shares.take(who, min(taken, DEAREST_SECONDS), settings.SALUS_SHARE_PER_PERSON)
