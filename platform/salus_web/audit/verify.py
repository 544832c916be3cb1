"""The verifier that stands alone: no Django and no database, only files.

`python -m salus_web.audit.verify --events EXPORT.jsonl [--checkpoints FILE] [--witness FILE] --signer-key PUB [--witness-key PUB]`
or, for an export of some lines, `--proof FILE --signer-key PUB [--witness-key PUB]`.
Exit status: 0 whole, 2 changed, 3 cut short, 4 rolled back, 1 when a file cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from salus_web.audit import merkle
from salus_web.audit.chain import digest
from salus_web.audit.line import Line, read_line
from salus_web.audit.notes import SIGNER, WITNESS, BadNote, Note, opened, public_key, read_note
from salus_web.audit.verifier import CHANGED, WHOLE, Finding, Seen, verify, walk

UNREADABLE = 1


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="salus_web.audit.verify", description="Proves an exported log whole, without a database.")
    parser.add_argument("--events", type=Path, help="the whole log, as manage.py audit_export writes it")
    parser.add_argument("--proof", type=Path, help="some lines with their proofs, as the audit page exports them")
    parser.add_argument("--checkpoints", type=Path, help="the append-only file of checkpoints")
    parser.add_argument("--witness", type=Path, help="the witness's own file, seen.jsonl")
    parser.add_argument("--signer-key", type=Path, help="the signer's public key, signer.pub")
    parser.add_argument("--witness-key", type=Path, help="the witness's public key, witness.pub")
    asked = parser.parse_args(arguments)
    try:
        keys = [public_key(path.read_text()) if path else None for path in (asked.signer_key, asked.witness_key)]
        found = _selection(asked, *keys) if asked.proof else _whole_log(asked, *keys)
    except OSError as reason:
        return _say(f"{reason.filename} cannot be read: {reason.strerror}.", UNREADABLE)
    except BadNote as reason:
        return _say(str(reason), UNREADABLE)
    for sentence in (found.sentence, *found.remarks):
        _say(sentence)
    return _say(f"Checkpoint {found.sequence}, root {found.root}" if found.root else "", found.code)


def _say(words: str, code: int = 0) -> int:
    if words:
        sys.stdout.write(f"{words}\n")
    return code


def _whole_log(asked: argparse.Namespace, signer: Ed25519PublicKey | None, witness: Ed25519PublicKey | None) -> Finding:
    """The whole log against its heads, the checkpoints and the witness's memory."""
    if asked.events is None:
        raise BadNote("Say which file to verify: --events or --proof.")
    if asked.checkpoints and signer is None:
        raise BadNote("To check checkpoints, give --signer-key.")
    if asked.witness and (witness is None or not asked.checkpoints):
        raise BadNote("To ask the witness's memory, give --witness-key and --checkpoints.")
    with asked.events.open("rb") as stream:
        header = _object(stream.readline())
        try:
            heads = {int(stripe): (int(place), str(last)) for stripe, (place, last) in header["heads"].items()}
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadNote("The export does not begin with the log's heads.") from None
        walked = walk(_events(stream))
    filed = read_line(_notes(asked.checkpoints), signer=signer) if asked.checkpoints and signer else None
    held = read_line(_held(asked.checkpoints, header.get("note", "")), signer=signer) if filed and signer else Line()
    seen = Seen(filed, _last_word(asked.witness, witness) if asked.witness and witness else None)
    return verify(walked, heads=heads, held=held, seen=seen)


def _object(line: bytes) -> dict[str, Any]:
    """A line's JSON object; an empty one for anything else, which no check takes for right."""
    try:
        found = orjson.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_NOTHING = {"stripe": 0, "form": 0, "place": 0, "previous": "", "digest": "", "number": 0, "before_hash": "", "after_hash": ""}


def _events(stream: Any) -> Iterator[dict[str, Any]]:
    """The export's lines. One that is no event is passed on as one that cannot be right at its place."""
    stripe = 0
    for line in stream:
        event = _object(line)
        if event.keys() >= _NOTHING.keys() and isinstance(event["form"], int):
            stripe = event["stripe"]
            yield event
        else:
            yield _NOTHING | {"stripe": stripe}


def _notes(path: Path) -> Iterator[tuple[Note, bytes]]:
    with path.open("rb") as stream:
        for line in stream:
            plain = _object(line)
            try:
                yield read_note(plain), base64.b64decode(plain.get("marks", ""))
            except (BadNote, ValueError):
                yield Note("", ""), b""


def _held(path: Path, last: str) -> Iterator[tuple[Note, bytes]]:
    """Those notes that the database itself held when the log was exported: up to its last, or all if the file lags."""
    is_there = any(note.digest == last for note, _ in _notes(path))
    for note, marks in _notes(path) if last else ():
        yield note, marks
        if is_there and note.digest == last:
            return


def _last_word(path: Path, key: Ed25519PublicKey) -> dict[str, Any] | None:
    """What the witness signed last."""
    lines = path.read_bytes().splitlines()
    try:
        return opened(read_note(json.loads(lines[-1])["statement"]), key=key, voice=WITNESS) if lines else None
    except (ValueError, KeyError, TypeError):
        raise BadNote("The witness's file does not end with a statement.") from None


def _selection(asked: argparse.Namespace, signer: Ed25519PublicKey | None, witness: Ed25519PublicKey | None) -> Finding:
    """Some lines, each with the proof that it stands under a signed checkpoint."""
    if signer is None:
        raise BadNote("To check proofs, give --signer-key.")
    with asked.proof.open("rb") as stream:
        header = _object(stream.readline())
        checkpoint, remarks = _checkpoint(header, signer, witness)
        root, size = bytes.fromhex(checkpoint.get("root", "")), checkpoint.get("size", 0)
        lines = proven = 0
        for line in stream:
            lines += 1
            entry = _object(line)
            if not _is_right(entry, size, root):
                return Finding(CHANGED, lines, f"Line {lines} of this export was changed.", 0, lines)
            proven += "index" in entry
    if lines != header.get("lines"):
        return Finding(CHANGED, lines, f"This export was cut or added to: it says it has {header.get('lines')} lines.", 0, lines + 1)
    if lines > proven:
        remarks.append(f"{lines - proven} lines were not under a checkpoint yet when they were exported: they are not proven.")
    words = f"{proven} of {lines} lines stand in the log under the signed checkpoint, unchanged."
    return Finding(WHOLE, lines, words, root=root.hex(), sequence=checkpoint.get("sequence", 0), remarks=tuple(remarks))


def _checkpoint(
    header: dict[str, Any], signer: Ed25519PublicKey, witness: Ed25519PublicKey | None
) -> tuple[dict[str, Any], list[str]]:
    """The checkpoint that the proofs lead to, and whether the witness signed it."""
    if not header.get("checkpoint"):
        return {}, []
    note = read_note(header["checkpoint"])
    content = opened(note, key=signer, voice=SIGNER)
    if witness is None:
        return content, []
    if not header.get("witness"):
        return content, ["The witness had not signed this checkpoint yet."]
    said = opened(read_note(header["witness"]), key=witness, voice=WITNESS)
    if said.get("note") != note.digest:
        raise BadNote("The witness's word is about another checkpoint.")
    return content, [f"The witness signed this checkpoint {said['at']}."]


def _is_right(entry: dict[str, Any], size: int, root: bytes) -> bool:
    """Whether a line digests to what it says and, where it has a proof, stands in the tree."""
    try:
        event = entry["event"]
        if digest(event) != event["digest"]:
            return False
        path = [bytes.fromhex(part) for part in entry.get("path", [])]
        hashed = merkle.leaf(bytes.fromhex(event["digest"]))
        return "index" not in entry or merkle.is_included(entry["index"], size, hashed, path, root)
    except (KeyError, TypeError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
