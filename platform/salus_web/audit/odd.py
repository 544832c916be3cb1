"""Accesses worth a second look: pure rules over looks and what is known of those who looked. Says why, and which lines show it.

A row here is a question for a person, not an accusation. What cannot be computed from the data is not offered: a colleague's own
record and marked (VIP) records have no trace in the data, so no rule names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

NIGHT_FROM, NIGHT_TO = 22, 6  # o'clock UTC
NIGHT_PATIENTS, NIGHT_WITHIN = 10, timedelta(hours=1)
MANY_PATIENTS, MANY_WITHIN = 30, timedelta(minutes=10)
EVIDENCE_AT_MOST = 20
STRANGE = "no care relation was live at the time"
NAMESAKE = "a word of the patient's name is this person's surname"


@dataclass(frozen=True, slots=True)
class Look:
    """One person opened something of one patient (a pseudonym)."""

    number: int
    at: datetime
    actor_id: str
    actor_name: str
    patient: str


@dataclass(frozen=True, slots=True)
class Odd:
    """Why somebody's looks are odd, how much that weighs, and the lines that show it (the first twenty)."""

    weight: int
    reason: str
    actor_id: str
    actor_name: str
    patient: str
    evidence: tuple[int, ...]
    at: datetime


def rank(
    looks: Iterable[Look], *, has_relation: Callable[[Look], bool], shares_surname: Callable[[Look], bool]
) -> list[Odd]:
    """Odd looks, the weightiest first; the newest first among equals."""
    people: dict[tuple[str, str], list[Look]] = {}
    for look in sorted(looks, key=lambda one: (one.at, one.number)):
        people.setdefault((look.actor_id, look.actor_name), []).append(look)
    found: list[Odd] = []
    for theirs in people.values():
        found += _of_each_patient(theirs, has_relation, shares_surname)
        at_night = [look for look in theirs if look.at.hour >= NIGHT_FROM or look.at.hour < NIGHT_TO]
        found += _burst(at_night, NIGHT_PATIENTS, NIGHT_WITHIN, 50, "{count} different patients within an hour at night ({when} UTC)")
        found += _burst(theirs, MANY_PATIENTS, MANY_WITHIN, 40, "{count} different patients within ten minutes ({when} UTC)")
    return sorted(found, key=lambda row: (row.weight, row.at), reverse=True)


def _of_each_patient(
    theirs: Sequence[Look], has_relation: Callable[[Look], bool], shares_surname: Callable[[Look], bool]
) -> list[Odd]:
    """One person's looks, patient by patient."""
    patients: dict[str, list[Look]] = {}
    for look in theirs:
        patients.setdefault(look.patient, []).append(look)
    found = []
    for looks in patients.values():
        strange, is_namesake = [look for look in looks if not has_relation(look)], shares_surname(looks[0])
        if strange:
            found.append(_row(80, f"{STRANGE}, and {NAMESAKE}", strange) if is_namesake else _row(60, STRANGE, strange))
        elif is_namesake:
            found.append(_row(70, NAMESAKE, looks))
    return found


def _burst(theirs: Sequence[Look], least: int, within: timedelta, weight: int, words: str) -> list[Odd]:
    """The fullest stretch of time with at least so many patients, if there is one."""
    best: Sequence[Look] = ()
    most, start = 0, 0
    counts: dict[str, int] = {}
    for end, look in enumerate(theirs):
        counts[look.patient] = counts.get(look.patient, 0) + 1
        while look.at - theirs[start].at > within:
            counts[theirs[start].patient] -= 1
            if not counts[theirs[start].patient]:
                del counts[theirs[start].patient]
            start += 1
        if len(counts) > most:
            most, best = len(counts), theirs[start : end + 1]
    if most < least:
        return []
    row = _row(weight + min(most, 100) // 10, words.format(count=most, when=f"{best[0].at:%d %b %Y %H:%M}"), best)
    return [Odd(row.weight, row.reason, row.actor_id, row.actor_name, "", row.evidence, row.at)]


def _row(weight: int, reason: str, looks: Sequence[Look]) -> Odd:
    last = looks[-1]
    evidence = tuple(look.number for look in looks[:EVIDENCE_AT_MOST])
    return Odd(weight, reason, last.actor_id, last.actor_name, last.patient, evidence, last.at)
