"""What a person takes includes what the database computes for them, and not how long a busy machine makes them wait for it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from salus_web.accounts.database_time import Spent, counted

COUNTS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000) SELECT count(*) FROM n"


@pytest.mark.django_db
def test_what_the_database_computes_is_counted_on_either_database() -> None:
    began = time.perf_counter()
    with counted() as spent, connection.cursor() as cursor:
        cursor.execute(COUNTS)
        assert cursor.fetchone() == (400_000,)
    assert spent.seconds() > 0.2 * (time.perf_counter() - began) > 0


@pytest.mark.parametrize(("busy", "counts"), [(1.0, 0.13), (0.5, 0.08)], ids=["an idle machine", "one that gave half a processor"])
def test_a_wait_counts_as_the_thread_was_served_beside_it(monkeypatch: pytest.MonkeyPatch, busy: float, counts: float) -> None:
    clock = {"thread": 3.0, "wall": 9.0}
    monkeypatch.setattr(time, "thread_time", lambda: clock["thread"])
    monkeypatch.setattr(time, "perf_counter", lambda: clock["wall"])

    def answered(*_: Any) -> str:
        clock["wall"] += 0.1
        return "rows"

    spent = Spent()
    clock["thread"] += 0.03
    clock["wall"] += 0.03 / busy
    assert spent(answered, "SELECT", (), False, {}) == "rows"
    assert spent.seconds() == pytest.approx(counts)


def test_a_question_that_fails_counts_and_fails() -> None:
    def broken(*_: Any) -> None:
        time.sleep(0.05)
        raise ValueError("no such table")

    spent = Spent()
    sum(range(10_000))
    with pytest.raises(ValueError, match="no such table"):
        spent(broken, "SELECT", (), False, {})
    assert spent.waited >= 0.04
