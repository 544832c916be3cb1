"""Writing to the log. Always inside the caller's transaction, so that an act and its trace stand or fall together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, transaction

from salus_web.audit.chain import GENESIS, digest
from salus_web.audit.models import Event, Head
from salus_web.common.clock import now
from salus_web.common.errors import LogNotWritten


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be logged. `patient` is a pseudonym; `detail` holds no patient value."""

    action: str
    object_kind: str = ""
    object_id: str = ""
    patient: str = ""
    purpose: str = ""
    outcome: str = "done"
    detail: dict[str, Any] = field(default_factory=dict)


def record(act: Act, *, by: Any) -> Event:
    """Append one act to the chain."""
    return record_many([act], by=by)[0]


def record_many(acts: Sequence[Act], *, by: Any) -> list[Event]:
    """Append acts to the chain in order, under the head's lock, in the caller's transaction."""
    if not acts:
        return []
    try:
        with transaction.atomic():
            head, _ = Head.objects.select_for_update().get_or_create(id=0, defaults={"number": 0, "digest": GENESIS})
            events = []
            for act in acts:
                row = {
                    "number": head.number + 1, "at": now(), "actor_id": by.id, "actor_name": by.name,
                    "role": ",".join(sorted(by.roles)), "session": by.session, "request": by.request,
                    "action": act.action, "object_kind": act.object_kind, "object_id": act.object_id,
                    "patient": act.patient, "purpose": act.purpose, "outcome": act.outcome,
                    "detail": act.detail, "previous": head.digest,
                }  # fmt: skip
                head.number, head.digest = row["number"], digest(row)
                events.append(Event(**row, digest=head.digest))
            Event.objects.bulk_create(events, batch_size=500)
            head.save(update_fields=["number", "digest"])
    except DatabaseError:
        raise LogNotWritten("The audit log cannot be written, so nothing is shown or changed. Please call IT.") from None
    return events
