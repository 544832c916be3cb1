"""How much of a web process's computing time one person may take: a bucket that fills at the person's share and is emptied by what
their requests cost (a token bucket). Requests are not alike, so counting them alone would let whoever asks for dear ones in.

Each process keeps its own: with more processes there is more to share. Counted is processor time of the thread, which a busy
machine does not make longer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from threading import Lock

from django.conf import settings

FULL_SECONDS = 1.5  # what may be taken at once: fifty ordinary pages
DEAREST_SECONDS = 0.5  # one request is never counted as more, so that a long report shuts nobody out
OPEN_AGAIN_SECONDS = 0.2
KEPT_AT_MOST = 20_000


@dataclass
class _Bucket:
    """What is left (below zero: overdrawn), when it was counted, and the minute that has its line on the log."""

    left: float
    at: float
    noted: int = -1


class Shares:
    """The buckets of this process."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}
        self._lock = Lock()

    def seconds_to_wait(self, who: str) -> tuple[int, bool]:
        """Seconds to wait when nothing is left (0: go on), and whether that is the first such in this minute."""
        share = settings.SALUS_SHARE_PER_PERSON
        with self._lock:
            bucket = self._filled(who, share)
            if bucket is None or bucket.left > 0:
                return 0, False
            minute = int(bucket.at // 60)
            first, bucket.noted = bucket.noted != minute, minute
            return max(1, ceil((OPEN_AGAIN_SECONDS - bucket.left) / share)), first

    @contextmanager
    def spending(self, who: str) -> Iterator[None]:
        """What is done inside is taken from the bucket."""
        share = settings.SALUS_SHARE_PER_PERSON
        if not share:
            yield
            return
        began = time.thread_time()
        try:
            yield
        finally:
            spent = min(time.thread_time() - began, DEAREST_SECONDS)
            with self._lock:
                bucket = self._filled(who, share) or self._new(who)
                bucket.left -= spent

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._buckets.clear()

    def _filled(self, who: str, share: float) -> _Bucket | None:
        """The bucket with what flowed in since it was counted last."""
        bucket = self._buckets.get(who) if share else None
        if bucket is not None:
            moment = time.monotonic()
            bucket.left, bucket.at = min(FULL_SECONDS, bucket.left + share * (moment - bucket.at)), moment
        return bucket

    def _new(self, who: str) -> _Bucket:
        if len(self._buckets) >= KEPT_AT_MOST:
            emptied_since = time.monotonic() - FULL_SECONDS / settings.SALUS_SHARE_PER_PERSON  # older ones are full again
            self._buckets = {who: one for who, one in self._buckets.items() if one.at > emptied_since}
        return self._buckets.setdefault(who, _Bucket(FULL_SECONDS, time.monotonic()))


shares = Shares()
