"""Accesses worth a second look: pure rules over looks and what is known of those who looked. Says why, and which lines show it.

A row here is a question for a person, not an accusation. Every rule that speaks for a row is named in its reason; rules that meet
in one row weigh more together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

NIGHT_FROM, NIGHT_TO = 22, 6  # o'clock where the hospital lies
NIGHT_PATIENTS, NIGHT_WITHIN = 10, timedelta(hours=1)
MANY_PATIENTS, MANY_WITHIN = 30, timedelta(minutes=10)
EVIDENCE_AT_MOST = 20
STRANGE = "no care relation was live at the time"
NAMESAKE = "a word of the patient's name is this person's surname"
TRIED = "tried to open the record and was refused"
TRIES, TRIES_WITHIN = 3, timedelta(hours=24)
WEIGHTS = {TRIED: 50, STRANGE: 60, NAMESAKE: 70}
MORE, MOST = 10, 99  # each further reason for a row adds this, up to that


@dataclass(frozen=True, slots=True)
class Look:
    """One person opened something of one patient (a pseudonym)."""

    number: int
    at: datetime
    actor_id: str
    actor_name: str
    patient: str
    refused: bool = False
    object_id: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is worth knowing of a patient whom somebody looked at: a reason and how much it weighs."""

    weight: int
    reason: str


def own_record() -> Mark:
    """The patient bears the very name of the one who looks."""
    return Mark(75, "the patient has this person's own full name")


def colleague(name: str) -> Mark:
    """The patient bears the name of somebody else who works here."""
    return Mark(65, f"the patient has the full name of a colleague, {name}")


def under_watch(why: str) -> Mark:
    """The record is one of those under special watch."""
    return Mark(72, f"the record is under special watch: {why}")


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


def no_marks(look: Look) -> Sequence[Mark]:
    """Nothing is known of the patient."""
    return ()


def rank(
    looks: Iterable[Look], *, has_relation: Callable[[Look], bool], shares_surname: Callable[[Look], bool],
    marks: Callable[[Look], Sequence[Mark]] = no_marks, zone: tzinfo = UTC,
) -> list[Odd]:  # fmt: skip
    """Odd looks, the weightiest first; the newest first among equals. Night is night in this zone."""
    people: dict[tuple[str, str], list[Look]] = {}
    for look in sorted(looks, key=lambda one: (one.at, one.number)):
        people.setdefault((look.actor_id, look.actor_name), []).append(look)
    found: list[Odd] = []
    for everything in people.values():
        theirs, tries = [look for look in everything if not look.refused], [look for look in everything if look.refused]
        found += _of_each_patient(everything, has_relation, shares_surname, marks)
        at_night = [look for look in theirs if not NIGHT_TO <= look.at.astimezone(zone).hour < NIGHT_FROM]
        where = "" if zone is UTC else f"; night is {NIGHT_FROM} to {NIGHT_TO} in {zone}"
        found += _burst(at_night, NIGHT_PATIENTS, NIGHT_WITHIN, 50, f"{{count}} different patients within an hour at night ({{when}} UTC{where})")
        found += _burst(theirs, MANY_PATIENTS, MANY_WITHIN, 40, "{count} different patients within ten minutes ({when} UTC)")
        named = [replace(look, patient=look.object_id or look.patient) for look in tries]
        found += _burst(named, TRIES, TRIES_WITHIN, 55, "{count} refused tries at different things within a day (from {when} UTC)")
    return sorted(found, key=lambda row: (row.weight, row.at), reverse=True)


def _of_each_patient(
    theirs: Sequence[Look], has_relation: Callable[[Look], bool], shares_surname: Callable[[Look], bool],
    marks: Callable[[Look], Sequence[Mark]],
) -> list[Odd]:  # fmt: skip
    """One person's looks and tries, patient by patient. A lone refused try at somebody of whom nothing is known is no question."""
    patients: dict[tuple[str, bool], list[Look]] = {}
    for look in theirs:
        if look.patient:
            patients.setdefault((look.patient, look.refused), []).append(look)
    found = []
    for (_, is_try), looks in patients.items():
        known = [*([Mark(WEIGHTS[NAMESAKE], NAMESAKE)] if shares_surname(looks[0]) else []), *marks(looks[0])]
        strange = [] if is_try else [look for look in looks if not has_relation(look)]
        first = [Mark(WEIGHTS[TRIED], TRIED)] if is_try else [Mark(WEIGHTS[STRANGE], STRANGE)] if strange else []
        reasons = [*first, *known]
        if reasons and (known or not is_try):
            weight = max(mark.weight for mark in reasons) + MORE * (len(reasons) - 1)
            found.append(_row(min(weight, MOST), ", and ".join(mark.reason for mark in reasons), strange or looks))
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
