"""The chain's arithmetic: canonical bytes and digests of events. Pure; reads and writes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

GENESIS = "0" * 64
FIELDS = (
    "number", "at", "actor_id", "actor_name", "role", "session", "request", "action", "object_kind",
    "object_id", "patient", "purpose", "outcome", "detail", "previous",
)  # fmt: skip


def canonical(event: Mapping[str, Any]) -> bytes:
    """The one byte form of an event: JSON, sorted keys, UTC microseconds."""
    body = {name: event[name] for name in FIELDS}
    at: datetime = body["at"]
    body["at"] = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def digest(event: Mapping[str, Any]) -> str:
    """sha256 (hex) over the canonical bytes, which hold the digest before."""
    return hashlib.sha256(canonical(event)).hexdigest()
