"""How lines get into PostgreSQL: their few statements are compiled once per connection, and whoever watches statements sees them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection, transaction
from salus_web.audit.examination import examine
from salus_web.audit.models import Event
from salus_web.audit.services import Act, record, record_many
from salus_web.audit.shell import SHELL
from salus_web.audit.verifier import WHOLE

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite compiles its statements by itself; CI runs this on PostgreSQL"),
]


def prepared() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%%audit_%%'")
        return [row[0] for row in cursor.fetchall()]


def test_the_statements_of_a_line_are_compiled_once() -> None:
    record(Act("test.write", "test", "1"), by=SHELL)
    first = prepared()
    assert any("FOR UPDATE" in one for one in first) and any("INSERT INTO audit_event" in one for one in first)
    for at in range(5):
        record(Act("test.write", "test", str(at)), by=SHELL)
    assert prepared() == first


def test_a_long_list_is_stored_whole_and_not_kept_compiled() -> None:
    before = prepared()
    record_many([Act("test.write", "test", str(at)) for at in range(1_234)], by=SHELL)
    assert Event.objects.filter(action="test.write").count() == 1_234
    assert all("audit_head" in one for one in set(prepared()) - set(before) if "INSERT" not in one)
    assert not [one for one in set(prepared()) - set(before) if "INSERT" in one]


def test_a_line_alone_is_one_message_and_chains_with_lines_that_came_together() -> None:
    seen: list[str] = []

    def watch(run: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return run(sql, values, many, context)

    record(Act("test.write"), by=SHELL)  # makes the head
    odd = {"number": 9, "place": "x\"\\\n", "previous": ["\u00fc\u2028", None, 1.5], "stripe": {"b": 1, "a": 2}}
    with connection.execute_wrapper(watch):
        alone = record(Act("test.write", "te\"st", "\u00fc%s", detail=odd), by=SHELL)
    assert len(seen) == 1
    together = record_many([Act("test.write", "test", str(at)) for at in range(3)], by=SHELL)
    last = record(Act("test.write", "test", "9", detail=odd), by=SHELL)
    assert {one.stripe for one in (alone, *together, last)} == {alone.stripe}
    assert [one.place - alone.place for one in (*together, last)] == [1, 2, 3, 4] and last.previous == together[-1].digest
    stored = Event.objects.get(number=alone.number)
    assert (stored.digest, stored.previous, stored.place) == (alone.digest, alone.previous, alone.place)
    assert examine().code == WHOLE


def test_watchers_of_statements_see_them() -> None:
    seen: list[str] = []

    def watch(run: Any, sql: str, values: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return run(sql, values, many, context)

    with transaction.atomic(), connection.execute_wrapper(watch):
        record(Act("test.write", "test", "1"), by=SHELL)
    assert any("INSERT INTO audit_event" in sql for sql in seen)
