"""The list of people whose data was erased, outside the database and its copies, by id only: what was put back from an older
copy is cleared again by it. A line that this installation did not write is passed over, so that nobody is erased by a typing
error."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from pathlib import Path

import orjson
from django.conf import settings

from salus_web.common.encryption import keyed_hash

NAME = "erased.jsonl"


def place() -> Path:
    """Where the list lies: beside the log's checkpoints, unless SALUS_ERASED_FILE names another disk or machine."""
    return Path(settings.SALUS_ERASED_FILE or Path(settings.SALUS_AUDIT_DIR) / NAME)


def people() -> frozenset[str]:
    """The ids of all people on it."""
    path = place()
    if not path.is_file():
        return frozenset()
    return frozenset(person for line in path.read_bytes().splitlines() if (person := _person(line)))


def add(entries: Sequence[tuple[str, str, str]]) -> None:
    """Add people (id, pseudonym, moment) who are not on it yet, and wait until it is on the disk."""
    known = people()
    fresh = [entry for entry in entries if entry[0] not in known]
    if not fresh:
        return
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as stream:
        for person, pseudonym, at in fresh:
            said = {"person": person, "pseudonym": pseudonym, "at": at, "tag": _tag(person)}
            stream.write(orjson.dumps(said) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def _tag(person: str) -> str:
    return keyed_hash(person.encode(), purpose="erased person")


def _person(line: bytes) -> str:
    """The id a line names, or nothing where the line is not ours."""
    try:
        said = orjson.loads(line)
        person, tag = str(said["person"]), str(said["tag"])
    except (ValueError, KeyError, TypeError):
        return ""
    return person if hmac.compare_digest(tag, _tag(person)) else ""
