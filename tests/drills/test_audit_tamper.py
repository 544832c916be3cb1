"""Eight kinds of tampering with the log, at random places: each is found, with the right word and the first bad line.

SALUS_DRILL_TRIALS says how often each kind is tried (5; `./salus drill tamper`: 100).
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from salus_web.audit.chain import EXPORTED, digest
from salus_web.audit.examination import examine
from salus_web.audit.models import Checkpoint, Countersign, Event, Head
from salus_web.audit.reading import heads, lines
from salus_web.audit.verifier import CHANGED, CUT_SHORT, ROLLED_BACK, WHOLE, Finding

from tests.factories.glass import make_glass, take_guards_off

pytestmark = [pytest.mark.django_db, pytest.mark.drill, pytest.mark.slow]
TRIALS = int(os.environ.get("SALUS_DRILL_TRIALS", "5"))
BATCHES = (7, 12, 1, 30, 23, 9)
Expected = tuple[int, int]


class Hand:
    """Somebody who can write to the database, with the numbers of a seed. `stripe` is where they work."""

    def __init__(self, seed: int) -> None:
        self.chance, self.stripe = random.Random(seed), Event.objects.values_list("stripe", flat=True)[0]
        self.rows, self.total = Event.objects.filter(stripe=self.stripe), sum(BATCHES)

    def any_place(self, first: int = 1, last: int = 0) -> int:
        return self.chance.randint(first, last or self.total)

    def move(self, place: int, to: int) -> None:
        row = self.rows.filter(place=place)
        row.update(place=to, number=row.get().number + (to - place))

    def set_head(self, place: int) -> None:
        last = self.rows.get(place=place).digest if place else "0" * 64
        Head.objects.filter(pk=self.stripe).update(place=place, digest=last)

    def cut(self, after: int) -> None:
        self.rows.filter(place__gt=after).delete()


def change_a_field(hand: Hand) -> Expected:
    place = hand.any_place()
    name, value = hand.chance.choice(
        [("action", "forged"), ("actor_name", "Somebody Else"), ("detail", {"n": -1}), ("patient", "0" * 32), ("outcome", "x"),
         ("before_hash", "ab"), ("form", 1), ("digest", "ab" * 32), ("previous", "cd" * 32)]
    )  # fmt: skip
    hand.rows.filter(place=place).update(**{name: value})
    return CHANGED, place


def delete_in_the_middle(hand: Hand) -> Expected:
    place = hand.any_place(last=hand.total - 1)
    hand.rows.filter(place=place).delete()
    return CHANGED, place


def swap_two(hand: Hand) -> Expected:
    one, other = sorted(hand.chance.sample(range(1, hand.total + 1), 2))
    hand.move(one, -1)
    hand.move(other, one)
    hand.move(-1, other)
    return CHANGED, one


def insert_one(hand: Hand) -> Expected:
    place = hand.any_place()
    model = hand.rows.get(place=place)
    for later in range(hand.total, place - 1, -1):
        hand.move(later, later + 1)
    model.action = "added"
    model.digest = digest({name: getattr(model, name) for name in EXPORTED})
    model.save(force_insert=True)
    hand.set_head(hand.total + 1)
    return CHANGED, place


def cut_the_tail(hand: Hand) -> Expected:
    last = hand.any_place(0, hand.total - 1)
    hand.cut(last)
    return CUT_SHORT, last + 1


def cut_the_tail_and_the_heads(hand: Hand) -> Expected:
    last = hand.any_place(0, hand.total - 1)
    hand.cut(last)
    hand.set_head(last)
    return CUT_SHORT, last + 1


def write_it_anew(hand: Hand) -> Expected:
    place = hand.any_place()
    rows = [row for row in lines(heads()) if row["stripe"] == hand.stripe]
    rows[place - 1]["action"] = "forged"
    last = rows[place - 1]["previous"]
    for row in rows[place - 1 :]:
        row["previous"] = last
        last = row["digest"] = digest(row)
        hand.rows.filter(place=row["place"]).update(**{name: row[name] for name in ("action", "previous", "digest")})
    hand.set_head(hand.total)
    return CHANGED, place


def replay_an_old_copy(hand: Hand) -> Expected:
    """A copy made when `kept` checkpoints and some lines more were there; everything of the database is of that day."""
    kept = hand.any_place(0, len(BATCHES) - 1)
    size = sum(BATCHES[:kept])
    last = hand.any_place(size, size + BATCHES[kept] - 1)
    late = Checkpoint.objects.order_by("pk")[kept:].values_list("pk", flat=True)
    Countersign.objects.filter(pk__in=list(late)).delete()
    Checkpoint.objects.filter(pk__in=list(late)).delete()
    hand.cut(last)
    hand.set_head(last)
    return ROLLED_BACK, last + 1


KINDS: list[Callable[[Hand], Expected]] = [
    change_a_field, delete_in_the_middle, swap_two, insert_one, cut_the_tail, cut_the_tail_and_the_heads, write_it_anew,
    replay_an_old_copy,
]  # fmt: skip


@pytest.fixture
def grown(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log under six checkpoints, and nobody guarding it."""
    make_glass(tmp_path, settings, monkeypatch).grow(*BATCHES)
    assert examine().code == WHOLE
    take_guards_off()


@pytest.mark.parametrize("tamper", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_tampering_is_found_at_its_place(grown: None, tamper: Callable[[Hand], Expected]) -> None:
    missed = []
    for trial in range(TRIALS):
        point = transaction.savepoint()
        code, place = tamper(Hand(trial))
        found: Finding = examine()
        transaction.savepoint_rollback(point)
        if (found.code, found.place) != (code, place):
            missed.append(f"trial {trial}: expected {code} at {place}, found {found.code} at {found.place} ({found.sentence})")
    assert missed == []
    assert examine().code == WHOLE, "a trial left something behind"
    assert connection.needs_rollback is False
