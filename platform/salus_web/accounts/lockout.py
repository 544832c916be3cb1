"""How often may be tried: counted in the database before anything is checked, so that a hundred tries at once, in as many
processes, are counted like a hundred one after the other. Knows nothing of passwords and codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F

from salus_web.accounts.models import TryCount
from salus_web.common.clock import now
from salus_web.common.encryption import keyed_hash
from salus_web.common.errors import Refused

LOCKED_FOR = timedelta(minutes=15)
SPENT_FOR = timedelta(minutes=3)
CLEAN_AFTER = timedelta(days=1)


class TooManyTries(Refused):
    """Tried too often; the same words whether or not there is such a person."""

    is_logged = False  # whether the try stands on the log already


@dataclass(frozen=True, slots=True)
class Limit:
    """What is counted, how often it may be, and for how long it is remembered."""

    key: str
    at_most: int
    remembered: timedelta = LOCKED_FOR


def limits_of_sign_in(*, name: str, address: str) -> list[Limit]:
    """A sign-in counts for the name that was typed, whether or not anybody has it, and for the address it came from."""
    return [
        Limit(_hashed("name", name.strip().casefold()), settings.SALUS_TRIES_PER_PERSON),
        Limit(_hashed("address", address), settings.SALUS_TRIES_PER_ADDRESS),
    ]


def limit_of_codes(user_id: object) -> Limit:
    """Codes and keys of one person who has shown the password already."""
    return Limit(_hashed("code", str(user_id)), settings.SALUS_TRIES_PER_PERSON)


def limit_of_numbers(user_id: object, way: str = "number") -> Limit:
    """Record numbers, typed in an emergency, that open nothing anew: so that nobody goes through numbers one by one. Of another
    way to ask for numbers (`file`: files of patients who are not in one's care) the same, counted by itself: refused files must
    not close the way to an emergency."""
    return Limit(_hashed(way, str(user_id)), settings.SALUS_TRIES_PER_PERSON * 2)


def take(limits: Sequence[Limit]) -> None:
    """Count one try. Raises TooManyTries where one of the limits is passed; the count is kept in its own transaction."""
    moment, passed = now(), False
    with transaction.atomic():
        for limit in sorted(limits, key=lambda limit: limit.key):  # one order for all, so that nobody waits in a circle
            TryCount.objects.get_or_create(key=limit.key, defaults={"until": moment + limit.remembered})
            row = TryCount.objects.select_for_update().get(key=limit.key)
            if row.until <= moment:
                row.tries = 0
            if row.tries >= limit.at_most:
                passed = True  # a locked one is not locked for longer by more tries
                continue
            row.tries, row.until = row.tries + 1, moment + limit.remembered
            row.save(update_fields=["tries", "until"])
    if passed:
        minutes = int(LOCKED_FOR.total_seconds() // 60)
        raise TooManyTries(f"There were too many wrong tries. Please wait {minutes} minutes, or ask your administrator.")


def forgive(limits: Sequence[Limit]) -> None:
    """The try was right: a person's count begins anew, an address gets back the one it used."""
    person, *others = limits
    TryCount.objects.filter(key=person.key).delete()
    give_back(others)
    TryCount.objects.filter(until__lt=now() - CLEAN_AFTER).delete()


def give_back(limits: Sequence[Limit]) -> None:
    """It was no wrong try: it does not count, and those before it still do."""
    TryCount.objects.filter(key__in=[limit.key for limit in limits], tries__gt=0).update(tries=F("tries") - 1)


def spend_once(user_id: object, code: str) -> bool:
    """Whether this code was not used before. A code on an authenticator app is good for a minute; it is good once."""
    try:
        take([Limit(_hashed("spent", f"{user_id}:{code}"), 1, SPENT_FOR)])
    except TooManyTries:
        return False
    return True


def _hashed(kind: str, what: str) -> str:
    return keyed_hash(what.encode(), purpose=f"tries:{kind}")
