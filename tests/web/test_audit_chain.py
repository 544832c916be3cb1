"""The log: events chain to one another, and the database refuses to change one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from salus_web.audit.chain import GENESIS, digest
from salus_web.audit.models import Checkpoint, Event
from salus_web.audit.services import Act, record, record_many
from salus_web.common.errors import LogNotWritten

from tests.factories.people import SYSTEM

pytestmark = pytest.mark.django_db


def test_events_count_from_one_and_chain() -> None:
    record(Act("a"), by=SYSTEM)
    record_many([Act("b"), Act("c")], by=SYSTEM)
    events = list(Event.objects.order_by("number"))
    assert [event.place for event in events] == [1, 2, 3]
    assert len({event.number for event in events}) == 3
    assert events[0].previous == GENESIS
    assert [event.previous for event in events[1:]] == [event.digest for event in events[:-1]]


def test_a_stored_event_digests_to_its_own_digest() -> None:
    record(Act("patient.read", "patient", "7", patient="ab" * 16, detail={"n": 1}), by=SYSTEM)
    event = Event.objects.get()
    assert digest({**vars(event)}) == event.digest


@pytest.mark.parametrize("change", ["update", "delete"])
def test_the_database_refuses_to_change_the_log(change: str) -> None:
    record(Act("a"), by=SYSTEM)
    with pytest.raises(DatabaseError), transaction.atomic():
        if change == "update":
            Event.objects.update(action="forged")
        else:
            Event.objects.all().delete()
    assert Event.objects.get().action == "a"


@pytest.mark.parametrize("new", [{}, {"number": 99}, {"place": 99, "digest": "0" * 64}])
def test_the_database_puts_no_other_line_in_the_place_of_one(new: dict[str, Any]) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("INSERT OR REPLACE is SQLite's")
    record_many([Act("a"), Act("b")], by=SYSTEM)
    row = Event.objects.filter(action="a").values().get() | {"action": "forged", "detail": "{}"} | new
    names, values = ", ".join(row), list(row.values())
    statement = f"INSERT OR REPLACE INTO audit_event ({names}) VALUES ({', '.join(['%s'] * len(values))})"
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)
    assert list(Event.objects.order_by("number").values_list("action", flat=True)) == ["a", "b"]
    assert record(Act("c"), by=SYSTEM).place == 3


@pytest.mark.parametrize("key", ["id", "previous", "note"])
def test_nor_another_checkpoint(key: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("INSERT OR REPLACE is SQLite's")
    kept = Checkpoint.objects.create(previous="p", note="n", kind="checkpoint", body="b", signature="s")
    row = {"id": kept.pk + 1, "previous": "p2", "note": "n2"} | {key: getattr(kept, key)}
    statement = """INSERT OR REPLACE INTO audit_checkpoint (id, previous, note, kind, body, signature, marks, peaks, proof)
        VALUES (%s, %s, %s, 'checkpoint', 'forged', 's', x'', '[]', '[]')"""
    with pytest.raises(DatabaseError, match="cannot be changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, list(row.values()))
    assert Checkpoint.objects.get().body == "b"


def test_what_is_rolled_back_leaves_no_trace_and_no_gap() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(Act("lost"), by=SYSTEM)
        raise ZeroDivisionError
    record(Act("kept"), by=SYSTEM)
    assert list(Event.objects.values_list("place", "action")) == [(1, "kept")]


def test_old_and_new_values_are_kept_as_keyed_hashes_bound_to_their_object() -> None:
    one = record(Act("role.end", "user", "7", before={"role": "auditor"}, after={"role": ""}), by=SYSTEM)
    same = record(Act("role.grant", "user", "7", after={"role": "auditor"}), by=SYSTEM)
    other = record(Act("role.grant", "user", "8", after={"role": "auditor"}), by=SYSTEM)
    assert one.before_hash == same.after_hash != other.after_hash and same.before_hash == ""
    assert one.before_hash != hashlib.sha256(b'["user","7",{"role":"auditor"}]').hexdigest(), "without the key it cannot be guessed"
    assert not Event.objects.filter(detail__icontains="auditor").exists()


def test_who_swallows_the_refusal_commits_nothing_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(rows: Any) -> None:
        raise DatabaseError("disk full")

    with transaction.atomic():
        record(Act("before"), by=SYSTEM)
        monkeypatch.setattr("salus_web.audit.services.append", refuse)
        with pytest.raises(LogNotWritten):
            record(Act("after"), by=SYSTEM)
    assert not Event.objects.exists()
