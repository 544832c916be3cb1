"""The child process that parses one file: limits first, then read from standard input, answer on standard output.

Both ways: an 8-byte length, a JSON document, then bytes. The answer comes in parts, one for each file of a zip, so that no
more than one of them is held here; the last says `done`, or there is one that says `refused`.
"""

from __future__ import annotations

import dataclasses
import resource
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from salus_web.ingest.parsers.archive import parts_of
from salus_web.ingest.parsers.fhir_times import Clock
from salus_web.ingest.parsers.forms import Unreadable
from salus_web.ingest.parsers.storable import check_person


def limit(memory: int, seconds: int, *, may_write: int = 0) -> None:
    """No more memory, time or room on a disk than this, and no core file with a patient in it."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (may_write, may_write))


def said_head() -> dict[str, Any]:
    """What the parent says of the file; its bytes follow."""
    size = int.from_bytes(sys.stdin.buffer.read(8), "big")
    return orjson.loads(sys.stdin.buffer.read(size))


def answer(document: dict[str, Any], blobs: list[bytes]) -> None:
    """One part of the answer."""
    document["sizes"] = [len(blob) for blob in blobs]
    body = orjson.dumps(document)
    sys.stdout.buffer.write(len(body).to_bytes(8, "big") + body)
    for blob in blobs:
        sys.stdout.buffer.write(blob)


def run(parts: Iterator[dict[str, Any]], name: str) -> int:
    """Answer with each part, or with the reason why the file is refused. Whatever a reader raises is such a reason: some raise
    what is no Exception at all."""
    try:
        for part in parts:
            blobs: list[bytes] = []
            answer(out_of_band(part, blobs), blobs)
    except Unreadable as refusal:
        answer({"refused": str(refusal)}, [])
    except MemoryError:
        answer({"refused": f"{name} needs more memory to read than a file may take."}, [])
    except RecursionError:
        answer({"refused": f"{name} is nested too deeply."}, [])
    except BaseException as error:  # noqa: BLE001
        answer({"refused": f"{name} could not be read: the reader gave up on it ({type(error).__name__})."}, [])
    sys.stdout.buffer.flush()
    return 0


def out_of_band(value: Any, blobs: list[bytes]) -> Any:
    """Replace bytes by {"blob": number}."""
    if isinstance(value, bytes):
        blobs.append(value)
        return {"blob": len(blobs) - 1}
    if isinstance(value, dict):
        return {key: out_of_band(inner, blobs) for key, inner in value.items()}
    if isinstance(value, list):
        return [out_of_band(inner, blobs) for inner in value]
    return value


def read(raw: bytes, name: str, clock: Clock) -> Iterator[dict[str, Any]]:
    """The people of each part, then what kind of file it was and what was left out of it."""
    left_out: dict[str, int] = {}
    form, parts = parts_of(raw, name, clock)
    for parsed in parts:
        for kind, times in parsed.left_out.items():
            left_out[kind] = left_out.get(kind, 0) + times
        people = [dataclasses.asdict(person) for person in parsed.people]
        for person in people:
            check_person(person, name)
        yield {"people": people}
    yield {"done": True, "form": form, "left_out": left_out}


def main() -> int:
    """Arguments: memory limit in bytes, processor time in seconds."""
    limit(int(sys.argv[1]), int(sys.argv[2]))
    head = said_head()
    return run(_all(head), str(head["name"]))


def _all(head: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Inside `run`, so that too large a file is a refusal like any other."""
    zone = UTC if head["zone"] == "UTC" else ZoneInfo(head["zone"])
    yield from read(sys.stdin.buffer.read(), str(head["name"]), Clock(datetime.fromisoformat(head["received_at"]), zone))


if __name__ == "__main__":
    sys.exit(main())
