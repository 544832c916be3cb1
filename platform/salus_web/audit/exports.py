"""Writing the log to files: the whole of it for the verifier that stands alone, or some lines with proofs of inclusion."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from salus_web.audit import merkle
from salus_web.audit.chain import EXPORTED, instant
from salus_web.audit.checkpoints import last_note
from salus_web.audit.models import Checkpoint, Event
from salus_web.audit.reading import heads, lines, signed_notes


def write_log(folder: Path) -> int:
    """Write events.jsonl (heads, then every line) and checkpoints.jsonl into a folder; returns how many lines."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "checkpoints.jsonl").open("wb") as stream:
        newest = ""
        for note, marks in signed_notes():
            stream.write(orjson.dumps(note.plain() | {"marks": base64.b64encode(marks).decode()}) + b"\n")
            newest = note.digest
    ends = heads()  # after the notes: what they cover is there
    with (folder / "events.jsonl").open("wb") as stream:
        stream.write(orjson.dumps({"kind": "log", "heads": {str(stripe): end for stripe, end in ends.items()}, "note": newest}) + b"\n")
        stream.writelines(orjson.dumps(line) + b"\n" for line in lines(ends))
    return sum(place for place, _ in ends.values())


def with_proofs(events: Sequence[Event]) -> Iterator[bytes]:
    """These lines as JSON, each with its place in the tree of the last checkpoint and the path to its root.

    A line that is not under a checkpoint yet comes without a proof. Reads the digest of every line under it (memory grows with
    the log: about 100 bytes a line).
    """
    checkpoint = last_note("checkpoint")
    places, levels = _tree(checkpoint) if checkpoint else ({}, merkle.Levels([]))
    signed = getattr(checkpoint, "countersign", None) if checkpoint else None
    yield _row({
        "kind": "selection", "lines": len(events),
        "checkpoint": {"body": checkpoint.body, "signature": checkpoint.signature} if checkpoint else None,
        "witness": {"body": signed.body, "signature": signed.signature} if signed and signed.body else None,
    })  # fmt: skip
    for event in events:
        plain = {name: getattr(event, name) for name in EXPORTED} | {"at": instant(event.at)}
        index = places.get((event.stripe, event.place))
        proof = {} if index is None else {"index": index, "path": [part.hex() for part in levels.path(index)]}
        yield _row({"event": plain} | proof)


def _row(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content) + b"\n"


def _tree(checkpoint: Checkpoint) -> tuple[dict[tuple[int, int], int], merkle.Levels]:
    """The index of every line in the tree of a checkpoint, and the tree. Its order is that of the checkpoints up to it."""
    rows = Checkpoint.objects.filter(kind="checkpoint", pk__lte=checkpoint.pk).order_by("pk").values_list("body", flat=True)
    order: list[tuple[int, int]] = []
    reached: dict[str, int] = {}
    for body in rows.iterator():
        ends = {stripe: place for stripe, (place, _) in json.loads(body)["heads"].items()}
        for stripe in sorted(ends, key=int):
            order += [(int(stripe), place) for place in range(reached.get(stripe, 0) + 1, ends[stripe] + 1)]
        reached = ends
    digests = {(stripe, place): digest for stripe, place, digest in _digests(reached)}
    leaves = [merkle.leaf(bytes.fromhex(digests[at])) for at in order]
    return {at: index for index, at in enumerate(order)}, merkle.Levels(leaves)


def _digests(ends: dict[str, int]) -> Iterator[tuple[int, int, str]]:
    for stripe, place in ends.items():
        rows = Event.objects.filter(stripe=int(stripe), place__lte=place).order_by("place")
        yield from rows.values_list("stripe", "place", "digest").iterator(chunk_size=5_000)
