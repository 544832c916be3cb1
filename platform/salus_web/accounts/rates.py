"""How many requests a minute may come from one person, or from one address where nobody is signed in, and how much of a web
process's time one person may take (shares). Wrong sign-ins are counted apart (lockout); this keeps one person, program or
machine from taking the house from everybody else.

Each process counts for itself and tells the database every few requests what it saw, so that all processes count together
and an ordinary click costs no write. Processes may overshoot a limit by what they have not told yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from threading import Lock

from django.conf import settings
from django.db import DatabaseError, transaction
from django.http import HttpRequest, HttpResponse

from salus_web.accounts.addresses import client_address
from salus_web.accounts.models import TryCount
from salus_web.accounts.shares import seconds_over_share, spending
from salus_web.audit.services import Act, record
from salus_web.common.encryption import keyed_hash
from salus_web.common.errors import LogNotWritten
from salus_web.common.late import LATE
from salus_web.common.plain_pages import plain_page

WINDOW_SECONDS = 60
TOLD_EVERY = 8
KEPT_AT_MOST = 20_000
LATE_SECONDS = 2.0  # of an answer to one request too many
# the proxy asks this every few seconds
FREE = frozenset({"/healthy/"})


@dataclass
class _Seen:
    """One person or address in one minute: what all processes had told, and what this one has not told yet."""

    window: int
    told: int = 0
    own: int = 0
    is_noted: bool = False


class Counter:
    """The counts of this process."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._shut: dict[str, float] = {}
        self._lock = Lock()

    def seconds_shut(self, shown: str) -> int:
        """For how long whoever shows this (a session, a token, an address) gets nothing; asks nobody."""
        left = self._shut.get(shown, 0.0) - time.time()
        return max(0, ceil(left))

    def take(self, who: str, *, at_most: int) -> tuple[int, bool]:
        """Count one request. Seconds to wait when it is one too many (0: go on), and whether that is the first such."""
        moment = time.time()
        window = int(moment // WINDOW_SECONDS)
        with self._lock:
            seen = self._seen.get(who)
            if seen is None or seen.window != window:
                self._make_room(window)
                seen = self._seen[who] = _Seen(window)
            seen.own += 1
            told, seen.own = (seen.own, 0) if seen.own >= min(TOLD_EVERY, max(1, at_most // 8)) else (0, seen.own)
        if told:
            seen.told = _tell(who, window, told, seen.told)
        if seen.told + seen.own <= at_most:
            return 0, False
        first, seen.is_noted = not seen.is_noted, True
        return ceil((window + 1) * WINDOW_SECONDS - moment), first

    def shut(self, shown: str, seconds: int) -> None:
        """Until then `seconds_shut` says so without counting."""
        with self._lock:
            if len(self._shut) >= KEPT_AT_MOST:
                self._shut.clear()
            self._shut[shown] = time.time() + seconds

    def _make_room(self, window: int) -> None:
        if len(self._seen) >= KEPT_AT_MOST:
            self._seen = {who: seen for who, seen in self._seen.items() if seen.window == window}
            if len(self._seen) >= KEPT_AT_MOST:
                self._seen.clear()

    def forget(self) -> None:
        """Begin anew."""
        with self._lock:
            self._seen.clear()
            self._shut.clear()


counter = Counter()


def _tell(who: str, window: int, number: int, before: int) -> int:
    """Add to the shared count of this minute and read it. While the database cannot be written, the own count stands."""
    ends = datetime.fromtimestamp((window + 1) * WINDOW_SECONDS, UTC)
    key = keyed_hash(who.encode(), purpose="tries:rate")
    try:
        with transaction.atomic():
            TryCount.objects.get_or_create(key=key, defaults={"until": ends})
            row = TryCount.objects.select_for_update().get(key=key)
            row.tries = number + (row.tries if row.until == ends else 0)
            row.until = ends
            row.save(update_fields=["tries", "until"])
    except DatabaseError:
        return before + number
    return row.tries


def _shown(request: HttpRequest) -> str:
    """What a request shows of who it is, without asking anybody."""
    session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    return keyed_hash(f"{request.META.get('HTTP_AUTHORIZATION', '')}|{session}|{client_address(request)}".encode(), purpose="shown")


class ShutOut:
    """Stands before everything that asks the database: whoever has just had too much is answered for next to nothing."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        seconds = counter.seconds_shut(_shown(request)) if request.path not in FREE else 0
        return too_many(request, seconds) if seconds else self.get_response(request)


class RateLimits:
    """Counts each request for its person, or for its address where nobody is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        actor = request.actor  # type: ignore[attr-defined]
        anonymous = actor.is_anonymous
        at_most = settings.SALUS_REQUESTS_PER_ADDRESS if anonymous else settings.SALUS_REQUESTS_PER_PERSON
        if not at_most or request.path in FREE:
            return self.get_response(request)
        who = f"address:{client_address(request)}" if anonymous else f"person:{actor.id}"
        seconds, first = counter.take(who, at_most=at_most)
        if not seconds and not anonymous:
            seconds, first = seconds_over_share(who)
        if not seconds:
            with spending(who):
                return self.get_response(request)
        if not anonymous:  # a person may have a good reason; from a shared address somebody else may still sign in
            counter.shut(_shown(request), seconds)
        if first:
            _note(request)
        return too_many(request, seconds)


def _note(request: HttpRequest) -> None:
    """One line a minute on the log, not one for each request; a log that is full must not make this an error."""
    try:
        record(Act("rate.limited", "page", outcome="refused"), by=request.actor)  # type: ignore[attr-defined]
    except LogNotWritten:
        return


def too_many(request: HttpRequest, seconds: int, what: str = "") -> HttpResponse:
    """The answer, with when to come again. It comes late: who asks all the same is to ask less."""
    request.environ[LATE] = LATE_SECONDS  # type: ignore[attr-defined]
    what = what or "More requests came in one minute than one person or one place may make."
    return plain_page(request, 429, reason=f"{what} Please wait {seconds} seconds.", retry_seconds=seconds)
