"""The chain's arithmetic: canonical bytes and digests of events. Pure; reads and writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

GENESIS = "0" * 64
FIRST_FIELDS = (
    "number", "at", "actor_id", "actor_name", "role", "session", "request", "action", "object_kind",
    "object_id", "patient", "purpose", "outcome", "detail", "previous",
)  # fmt: skip
# the second form adds the place in its stripe and the keyed hashes; the set of names tells the two forms apart in the digest
FIELDS = (*FIRST_FIELDS, "stripe", "place", "before_hash", "after_hash")
FORMS = {1: FIRST_FIELDS, 2: FIELDS}
FORM = 2
EXPORTED = (*FIELDS, "form", "digest")
GIVEN = ("number", "place", "previous", "stripe")  # what a line gets from where it comes to stand
_CUTS = [-1, *(sorted(FIELDS).index(name) for name in GIVEN), len(FIELDS)]
_AROUND = [sorted(FIELDS)[_CUTS[at] + 1 : _CUTS[at + 1]] for at in range(len(GIVEN) + 1)]


def instant(at: datetime | str) -> str:
    """A moment in the one form that is digested: UTC with microseconds. A text is taken to be in that form already."""
    return at if isinstance(at, str) else at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def canonical(event: Mapping[str, Any]) -> bytes:
    """The one byte form of an event: JSON, sorted keys, UTC microseconds. Raises KeyError for a form nobody knows."""
    body = {name: event[name] for name in FORMS[event["form"]]}
    body["at"] = instant(body["at"])
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def pieces(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The canonical text of an event of the newest form, cut where the values of GIVEN belong (the digest without its quotes):
    five pieces, from a row that need not have those four."""
    said = {**row, "at": instant(row["at"])}
    groups = [orjson.dumps({name: said[name] for name in names}, option=orjson.OPT_SORT_KEYS)[1:-1].decode() for names in _AROUND]
    first, second, third, fourth, last = (f",{group}" if group else "" for group in groups)
    return f'{{{first[1:]},"number":', f'{second},"place":', f'{third},"previous":"', f'"{fourth},"stripe":', f"{last}}}"


def digest(event: Mapping[str, Any]) -> str:
    """sha256 (hex) over the canonical bytes, which hold the digest before."""
    return hashlib.sha256(canonical(event)).hexdigest()
