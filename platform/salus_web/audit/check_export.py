"""Checks an export of the audit log without Salus. It knows nothing of Salus but the form of the file.

    python3 check_export.py audit-lines.jsonl --signer-key signer.pub [--witness-key witness.pub]

Needs Python 3.9 or later and the package `cryptography`. Written a second time on purpose: it shares no code with what it checks.
Exit status: 0 every proof holds, 2 something was changed, 1 a file cannot be read.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIRST = ["number", "at", "actor_id", "actor_name", "role", "session", "request", "action", "object_kind", "object_id", "patient", "purpose", "outcome", "detail", "previous"]
NAMES = {1: FIRST, 2: [*FIRST, "stripe", "place", "before_hash", "after_hash"]}
VOICES = {"signer": b"salus audit signer 1\n", "witness": b"salus audit witness 1\n"}
# a number with a fraction is digested as it was written; reading it and writing it anew could change its last figure
AS_WRITTEN = re.compile(r'"\\u0000([^"]*)\\u0000"')


class Wrong(Exception):
    """What does not hold."""


def read(line: str) -> Any:
    """One line of the file, its fractions kept as they were written."""
    return json.loads(line, parse_float=lambda text: f"\0{text}\0")


def canonical(event: dict[str, Any]) -> bytes:
    """The bytes that were digested: JSON, names in order, no spaces."""
    body = {name: event[name] for name in NAMES[event["form"]]}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return AS_WRITTEN.sub(r"\1", text).encode()


def climb(index: int, size: int, digest: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a line's digest and its path lead to (RFC 9162, 2.1.3.2)."""
    at, last, found = index, size - 1, hashlib.sha256(b"\0" + digest).digest()
    if not 0 <= index < size:
        raise Wrong("a line stands outside the tree")
    for sibling in path:
        if last == 0:
            raise Wrong("a path is too long")
        if at & 1 or at == last:
            found = hashlib.sha256(b"\1" + sibling + found).digest()
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + sibling).digest()
        at, last = at >> 1, last >> 1
    if last:
        raise Wrong("a path is too short")
    return found


def opened(note: dict[str, str], key_file: str, voice: str) -> dict[str, Any]:
    """What a signed note says, its signature checked with the key of a file."""
    with open(key_file, encoding="ascii") as stream:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(stream.read().strip()))
    try:
        key.verify(bytes.fromhex(note["signature"]), VOICES[voice] + note["body"].encode())
    except InvalidSignature:
        raise Wrong(f"the {voice}'s signature does not hold under this key") from None
    content: dict[str, Any] = json.loads(note["body"])
    return content


def check_line(entry: dict[str, Any], size: int, root: bytes) -> bool:
    """Whether a line is what was digested, and, where it has a proof, stands under the root. Returns whether it had one."""
    event = entry["event"]
    if hashlib.sha256(canonical(event)).hexdigest() != event["digest"]:
        raise Wrong("its words are not those that were digested")
    if "index" not in entry:
        return False
    path = [bytes.fromhex(part) for part in entry["path"]]
    if climb(entry["index"], size, bytes.fromhex(event["digest"]), path) != root:
        raise Wrong("it does not stand under the signed root")
    return True


def check(asked: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Every line of the file."""
    with open(asked.file, encoding="utf-8") as stream:
        header = json.loads(stream.readline())
        checkpoint: dict[str, Any] = {"size": 0, "root": ""}
        if header["checkpoint"]:
            checkpoint = opened(header["checkpoint"], asked.signer_key, "signer")
        if asked.witness_key and not header["witness"]:
            say("The witness had not signed this checkpoint yet; only the signer vouches for it.")
        elif asked.witness_key:
            said = opened(header["witness"], asked.witness_key, "witness")
            if said["note"] != hashlib.sha256(header["checkpoint"]["body"].encode()).hexdigest():
                raise Wrong("the witness speaks of another checkpoint")
            say(f"The witness signed this checkpoint {said['at']}.")
        lines = proven = 0
        for lines, line in enumerate(stream, 1):
            try:
                proven += check_line(read(line), checkpoint["size"], bytes.fromhex(checkpoint["root"]))
            except (Wrong, KeyError, TypeError, ValueError) as reason:
                raise Wrong(f"line {lines} of the file: {reason}") from None
    if lines != header["lines"]:
        raise Wrong(f"the file has {lines} lines and says {header['lines']}")
    say(f"{proven} of {lines} lines stand unchanged under the signed root {checkpoint['root'] or '(none yet)'}.")
    if proven < lines:
        say(f"{lines - proven} were too young for a checkpoint when they were exported: their words hold together, but no signature covers them.")


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Checks an export of an audit log, without Salus.")
    parser.add_argument("file")
    parser.add_argument("--signer-key", required=True)
    parser.add_argument("--witness-key")

    def say(words: str) -> None:
        sys.stdout.write(f"{words}\n")

    try:
        check(parser.parse_args(arguments), say)
    except Wrong as reason:
        say(f"CHANGED: {reason}.")
        return 2
    except (OSError, ValueError, KeyError, TypeError) as reason:
        say(f"Cannot be read: {reason}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
