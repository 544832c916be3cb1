"""What the wall is told is taken back whatever happens while it is told, on every kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from salus_web.common import wall
from salus_web.common.scoping import ScopedQuerySet
from salus_web.common.trouble import AWAY, sentence_for
from salus_web.records.models import Patient

pytestmark = pytest.mark.django_db
PERSON = "5a1a5000-0000-4000-8000-00000000d0d0"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """What the database is told; it goes away when it hears of a purpose."""
    found: list[tuple[str, str]] = []

    def tell(setting: str, value: str) -> None:
        found.append((setting, value))
        if value == "training-":
            raise OperationalError("gone")

    monkeypatch.setattr(wall, "_tell", tell)
    with wall.asked_by(PERSON):
        found.clear()
        yield found


def test_a_system_read_that_breaks_off_as_it_begins_leaves_nobody_the_system(told: list[tuple[str, str]]) -> None:
    rows = ScopedQuerySet(Patient)
    rows.by_system, rows.purpose = True, "training-"
    with pytest.raises(OperationalError) as found:
        list(rows)
    assert wall.who() == PERSON and wall._purpose.get() == "", "while the error is still being answered"
    assert "gone" in str(found.value)
    assert told == [("salus.who", "system"), ("salus.purpose", "training-"), ("salus.purpose", ""), ("salus.who", PERSON)]


def test_one_within_another_is_taken_back_to_the_one_before(told: list[tuple[str, str]]) -> None:
    with wall.asked_by("system"), wall.reading_for("care+"):
        with wall.asked_by("system"), wall.reading_for("care+"):
            pass
        assert (wall.who(), wall._purpose.get()) == ("system", "care+")
    assert told == [("salus.who", "system"), ("salus.purpose", "care+"), ("salus.purpose", ""), ("salus.who", PERSON)]


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="only a server goes away; .ci/run runs this on PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_died_unnoticed_is_a_database_that_is_away() -> None:
    """A worker gives a job back for that, and a page says so; for an error without Django's name the job would have failed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        number = cursor.fetchone()[0]
    other: Any = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [number])
    finally:
        other.close()
    try:
        with pytest.raises(OperationalError) as found, wall.reading_for("care+"):
            pass
    finally:
        connection.close()
    assert sentence_for(found.value) == AWAY and wall._purpose.get() == ""
