"""The child process that parses one file: limits first, then read from standard input, answer on standard output.

The answer is a length-prefixed JSON document followed by the binary parts it refers to by number.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
from typing import Any

import orjson

from salus_web.ingest.parsers.archive import parse_file
from salus_web.ingest.parsers.forms import Unreadable


def main() -> int:
    """Arguments: memory limit in bytes, processor time in seconds, the file's name."""
    memory, seconds, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    blobs: list[bytes] = []
    try:
        form, parsed = parse_file(sys.stdin.buffer.read(), name)
        answer: dict[str, Any] = {"form": form, "left_out": parsed.left_out}
        answer["people"] = [_out_of_band(dataclasses.asdict(person), blobs) for person in parsed.people]
    except Unreadable as refusal:
        answer, blobs = {"refused": str(refusal)}, []
    except MemoryError:
        answer, blobs = {"refused": f"{name} needs more memory to read than a file may take."}, []
    answer["sizes"] = [len(blob) for blob in blobs]
    document = orjson.dumps(answer)
    sys.stdout.buffer.write(len(document).to_bytes(8, "big") + document)
    for blob in blobs:
        sys.stdout.buffer.write(blob)
    return 0


def _out_of_band(value: Any, blobs: list[bytes]) -> Any:
    """Replace bytes by {"blob": number}."""
    if isinstance(value, bytes):
        blobs.append(value)
        return {"blob": len(blobs) - 1}
    if isinstance(value, dict):
        return {key: _out_of_band(inner, blobs) for key, inner in value.items()}
    if isinstance(value, list):
        return [_out_of_band(inner, blobs) for inner in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
