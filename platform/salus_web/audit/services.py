"""Writing to the log. Always inside the caller's transaction, so that an act and its trace stand or fall together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
from django.db import DatabaseError, connection, transaction

from salus_web.audit.exports import packed, with_proofs
from salus_web.audit.models import Event, SavedSearch, WatchedRecord, WatchReason
from salus_web.audit.search import find_all
from salus_web.audit.selectors import Wanted
from salus_web.audit.storing import append
from salus_web.common.clock import now
from salus_web.common.encryption import keyed_hash
from salus_web.common.errors import BadInput, Hidden, LogNotWritten, Refused

EXPORTERS = frozenset({"auditor"})
READERS = frozenset({"auditor", "administrator"})
EXPORT_AT_MOST = 20_000
SEARCHES_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be logged. `patient` is a pseudonym; `detail` holds no patient value.

    `before` and `after` are old and new values: the log keeps only their keyed hashes, each bound to the object.
    """

    action: str
    object_kind: str = ""
    object_id: str = ""
    patient: str = ""
    purpose: str = ""
    outcome: str = "done"
    detail: dict[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


def record(act: Act, *, by: Any) -> Event:
    """Append one act to the chain."""
    return record_many([act], by=by)[0]


def record_many(acts: Sequence[Act], *, by: Any) -> list[Event]:
    """Append acts to one chain in order, in the caller's transaction. Raises LogNotWritten, and then nothing of it commits."""
    if not acts:
        return []
    role = ",".join(sorted(by.roles))
    rows = [
        {
            "at": now(), "actor_id": by.id, "actor_name": by.name, "role": role, "session": by.session, "request": by.request,
            "action": act.action, "object_kind": act.object_kind, "object_id": act.object_id, "patient": act.patient,
            "purpose": act.purpose, "outcome": act.outcome, "detail": act.detail,
            "before_hash": _value_hash(act, act.before), "after_hash": _value_hash(act, act.after),
        }
        for act in acts
    ]  # fmt: skip
    try:
        with nullcontext() if connection.in_atomic_block else transaction.atomic():
            return [Event(**row) for row in append(rows)]
    except DatabaseError:
        _undo_callers_transaction()
        raise LogNotWritten("The audit log cannot be written, so nothing is shown or changed. Please call IT.") from None


def _value_hash(act: Act, value: Mapping[str, Any] | None) -> str:
    """The keyed hash of a value as this act's object has it; equal values of two objects differ. Empty without a value."""
    if value is None:
        return ""
    said = orjson.dumps([act.object_kind, act.object_id, value], option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return keyed_hash(said, purpose="audit value")


def _undo_callers_transaction() -> None:
    """Even a caller who swallows the refusal must not commit. A test's own transaction is not the caller's."""
    if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks):
        transaction.set_rollback(True)


def _check(by: Any, roles: frozenset[str]) -> None:
    """Raise Refused for other roles. The rules of accounts stand above this app, so the log keeps its own door."""
    if not by.is_system and not by.roles & roles:
        raise Refused("Your role does not include this.")


@transaction.atomic
def export_events(*, wanted: Wanted, by: Any) -> bytes:
    """The lines that fit as JSONL, each with its proof of inclusion under the last checkpoint. The export is a line itself.

    Raises Refused for anybody but an auditor, BadInput for more than 20,000 lines.
    """
    _check(by, EXPORTERS)
    rows = find_all(wanted=wanted, at_most=EXPORT_AT_MOST + 1)[::-1]
    if len(rows) > EXPORT_AT_MOST:
        raise BadInput(f"More than {EXPORT_AT_MOST:,} lines fit this search. Choose fewer days, a person or a patient.")
    record(Act("audit.export", "log", patient=wanted.patient, detail={"lines": len(rows)}), by=by)
    return b"".join(with_proofs(rows))


def export_package(*, wanted: Wanted, by: Any) -> bytes:
    """The same lines as a zip with all that is needed to check them without Salus: the program, the public keys, and how.

    Raises as `export_events` does.
    """
    return packed(export_events(wanted=wanted, by=by), wanted=wanted, by_name=by.name)


@transaction.atomic
def watch_record(*, pseudonym: str, why: str, by: Any) -> WatchedRecord:
    """Put a record under special watch, or change why. The patient is one of the caller's hospitals; the view has looked."""
    _check(by, READERS)
    if why not in WatchReason.values:
        raise BadInput("Choose why this record is watched.")
    row, _ = WatchedRecord.objects.update_or_create(pseudonym=pseudonym, defaults={"why": why, "since": now(), "by_name": by.name})
    record(Act("watch.start", "patient", patient=pseudonym, detail={"why": why}), by=by)
    return row


@transaction.atomic
def unwatch_record(*, pseudonym: str, by: Any) -> None:
    """End the special watch over a record. Raises Hidden where there is none."""
    _check(by, READERS)
    if not WatchedRecord.objects.filter(pseudonym=pseudonym).delete()[0]:
        raise Hidden("This record is not watched.")
    record(Act("watch.end", "patient", patient=pseudonym), by=by)


@transaction.atomic
def save_search(*, name: str, wanted: dict[str, str], by: Any) -> SavedSearch:
    """Keep a search under a name; the same name again replaces it. A patient in it is a pseudonym."""
    _check(by, READERS)
    name = name.strip()
    if not name or len(name) > 80:
        raise BadInput("Give the search a name of at most 80 letters.")
    held = SavedSearch.objects.filter(owner_id=by.id)
    before = held.filter(name=name).values_list("wanted", flat=True).first()
    if before is None and held.count() >= SEARCHES_AT_MOST:
        raise BadInput(f"At most {SEARCHES_AT_MOST} searches can be kept. Delete one first.")
    row, _ = SavedSearch.objects.update_or_create(owner_id=by.id, name=name, defaults={"wanted": wanted, "saved_at": now()})
    record(Act("audit.search.save", "search", str(row.pk), before=before, after=wanted), by=by)
    return row


@transaction.atomic
def forget_search(*, search_id: UUID, by: Any) -> None:
    """Delete one's own saved search. Raises Hidden for anybody else's."""
    _check(by, READERS)
    row = SavedSearch.objects.filter(pk=search_id, owner_id=by.id).first()
    if row is None:
        raise Hidden("There is no such search.")
    record(Act("audit.search.forget", "search", str(row.pk), before=row.wanted), by=by)
    row.delete()
