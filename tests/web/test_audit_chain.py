"""The log: events chain to one another, and the database refuses to change one."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction
from salus_web.audit.chain import GENESIS, digest
from salus_web.audit.models import Event
from salus_web.audit.services import Act, record, record_many

from tests.factories.people import SYSTEM

pytestmark = pytest.mark.django_db


def test_events_count_from_one_and_chain() -> None:
    record(Act("a"), by=SYSTEM)
    record_many([Act("b"), Act("c")], by=SYSTEM)
    events = list(Event.objects.order_by("number"))
    assert [event.number for event in events] == [1, 2, 3]
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


def test_what_is_rolled_back_leaves_no_trace_and_no_gap() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record(Act("lost"), by=SYSTEM)
        raise ZeroDivisionError
    record(Act("kept"), by=SYSTEM)
    assert list(Event.objects.values_list("number", "action")) == [(1, "kept")]
