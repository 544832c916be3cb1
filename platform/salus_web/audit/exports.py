"""Writing the log to files: the whole of it for the verifier that stands alone, or some lines with proofs of inclusion, and with
all that is needed to check them elsewhere."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

from salus_web.audit import check_export, merkle
from salus_web.audit.chain import EXPORTED, instant
from salus_web.audit.checkpoints import last_note
from salus_web.audit.models import Checkpoint, Event
from salus_web.audit.reading import heads, lines, signed_notes
from salus_web.audit.selectors import Wanted
from salus_web.common.clock import now


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


LINES_FILE, CHECKER, READ_ME = "audit-lines.jsonl", "check_export.py", "READ-ME.txt"
_HOW = """Lines of the audit log of Salus, exported {at} UTC by {by}.
Asked for: {asked}.
The file {file} holds {lines} lines. {checkpoint}

How to check it without Salus
  1. Take this folder to any machine with Python 3.9 or later; install the package cryptography (pip install cryptography).
  2. Get the public keys signer.pub and witness.pub from somebody else than whoever gave you this export, or compare them with
     a copy that you have on paper. The ones in this folder only show that the files fit one another.
  3. Run:  python3 {checker} {file} --signer-key signer.pub --witness-key witness.pub
It says how many lines stand unchanged under the signed root (exit status 0), or which line was changed (exit status 2).

What it proves: each proven line stood in the log with these very words when the checkpoint was signed, and the witness saw that
checkpoint. What it does not prove: that no other line would have fitted the search; for that, the whole log is exported
(manage.py audit_export). A patient stands in a line as a pseudonym.
"""


def packed(lines: bytes, *, wanted: Wanted, by_name: str) -> bytes:
    """An export of some lines as a zip with the public keys, the program that checks it, and how that is done."""
    header = json.loads(lines.partition(b"\n")[0])
    body = json.loads(header["checkpoint"]["body"]) if header["checkpoint"] else None
    checkpoint = (
        f"They lead to checkpoint {body['sequence']} of {body['at'][:16].replace('T', ' ')} UTC over {body['size']} lines, root\n{body['root']}."
        if body else "No checkpoint was signed yet, so none of them is proven."
    )  # fmt: skip
    asked = ", ".join(f"{field.name.replace('_', ' ')} {value}" for field in fields(wanted) if (value := getattr(wanted, field.name))) or "everything"
    words = _HOW.format(
        at=f"{now():%d %b %Y %H:%M}", by=by_name, asked=asked, file=LINES_FILE, lines=header["lines"], checkpoint=checkpoint, checker=CHECKER
    )
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in ((READ_ME, words), (LINES_FILE, lines), (CHECKER, Path(check_export.__file__).read_bytes())):
            archive.writestr(name, content)
        for name in ("signer.pub", "witness.pub"):
            path = settings.SALUS_AUDIT_DIR / name
            if path.exists():
                archive.writestr(name, path.read_bytes())
    return stream.getvalue()


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
