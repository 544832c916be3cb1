"""Runs a reading child and takes its answer. Any death of the child, by exit, signal or limit, is a refusal with a reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from threading import Thread, Timer
from typing import IO, Any

import orjson
from django.conf import settings

import salus_web
from salus_web.common.clock import now
from salus_web.common.errors import BadInput

# What reading a small file may take; a larger one gets more in proportion, up to a ceiling.
MEMORY_BYTES, MEMORY_PER_BYTE, MEMORY_AT_MOST = 512 << 20, 12, 2 << 30
SECONDS, SECONDS_PER_MEGABYTE = 10, 2
ANSWER_AT_MOST = 4 << 30
LONGEST_REFUSAL = 1_000  # letters
READER = "salus_web.ingest.parse_child"


def limits_for(size_bytes: int) -> tuple[int, int]:
    """Memory in bytes and processor seconds for a file of this size."""
    memory = min(MEMORY_AT_MOST, MEMORY_BYTES + MEMORY_PER_BYTE * size_bytes)
    return memory, SECONDS + SECONDS_PER_MEGABYTE * (size_bytes >> 20)


def parse_in_child(
    raw: bytes | Iterable[bytes], name: str, *, size_bytes: int | None = None, received_at: datetime | None = None
) -> dict[str, Any]:
    """The parsed document with its binary parts in place. Raises BadInput with the sentence of the refusal.

    `raw` may come in pieces, with its size given. `received_at` is when the file came in (else now): nothing in it is known later.
    """
    pieces = [raw] if isinstance(raw, bytes) else raw
    size = len(raw) if isinstance(raw, bytes) else size_bytes or 0
    document: dict[str, Any] = {"people": []}
    head = {"name": name, "received_at": (received_at or now()).isoformat(), "zone": str(settings.SALUS_HOSPITAL_ZONE)}
    for part in read_in_child(READER, head, pieces, size_bytes=size):
        document["people"] += part.pop("people", [])
        document |= part
    return document


def read_in_child(module: str, head: dict[str, Any], pieces: Iterable[bytes], *, size_bytes: int) -> Iterator[dict[str, Any]]:
    """The parts of the child's answer as they come, with their binary parts in place. Raises BadInput with the refusal; what
    came before it is then worth nothing.

    `head` says what the child must know (a file's name: never as an argument, which every process of the machine may read).
    """
    memory, seconds = limits_for(size_bytes)
    name = str(head.get("name", "the file"))
    # what readers grumble about a file quotes it, so nobody listens
    with subprocess.Popen(
        [sys.executable, "-m", module, str(memory), str(seconds)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=_environment(), cwd="/",
    ) as child:  # fmt: skip
        assert child.stdin is not None and child.stdout is not None
        clock = Timer(seconds * 3 + 10, child.kill)
        trouble: list[BaseException] = []
        feeder = Thread(target=_feed, args=(child.stdin, head, pieces, trouble), daemon=True)
        clock.start()
        feeder.start()
        try:
            yield from _parts(child, name)
        finally:
            clock.cancel()
            child.kill()  # one that is done does not mind
            feeder.join()
            if trouble:  # before what the child said of a file that did not reach it whole
                raise trouble[0]


def _environment() -> dict[str, str]:
    """Nothing of the parent's but where programs and our own roots are: no key and no password."""
    root = Path(salus_web.__file__).resolve().parents[2]
    roots = os.pathsep.join(str(root / name) for name in ("platform", "workers", "models"))
    return {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": roots, "OPENBLAS_NUM_THREADS": "1"}


def _feed(stream: IO[bytes], head: dict[str, Any], pieces: Iterable[bytes], trouble: list[BaseException]) -> None:
    """Hand the file over; a child that hung up has its own reason. What is wrong with the file itself is the caller's."""
    try:
        said = orjson.dumps(head)
        with suppress(BrokenPipeError), stream:
            stream.write(len(said).to_bytes(8, "big") + said)
            for piece in pieces:
                stream.write(piece)
    except Exception as error:  # noqa: BLE001 - raised again where the answer is read
        trouble.append(error)


def _parts(child: subprocess.Popen[bytes], name: str) -> Iterator[dict[str, Any]]:
    """Each a length-prefixed JSON document followed by its binary parts; the last one says `done`."""
    assert child.stdout is not None
    left = ANSWER_AT_MOST
    while True:
        size = int.from_bytes(_exactly(child, child.stdout, 8, name), "big")
        left -= size
        if left < 0:
            raise BadInput(f"{name} would take up too much room when read, so it was refused.")
        document = orjson.loads(_exactly(child, child.stdout, size, name))
        if "refused" in document:
            raise BadInput(_cut(document["refused"]))
        sizes = document.pop("sizes")
        left -= sum(sizes)
        if left < 0:
            raise BadInput(f"{name} would take up too much room when read, so it was refused.")
        blobs = [_exactly(child, child.stdout, length, name) for length in sizes]
        if document.pop("done", False):
            yield document
            return
        yield _in_place(document, blobs)


def _cut(sentence: str) -> str:
    """What is said of a file may quote it; it stays something that a person reads."""
    return sentence if len(sentence) <= LONGEST_REFUSAL else f"{sentence[:LONGEST_REFUSAL]} …"


def _exactly(child: subprocess.Popen[bytes], stream: IO[bytes], size: int, name: str) -> bytes:
    """So many bytes; fewer mean that the child died."""
    body = stream.read(size)
    if len(body) < size:
        raise BadInput(f"{name} could not be read: {_death(child.wait())}.")
    return body


def _in_place(value: Any, blobs: list[bytes]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"blob"}:
            return blobs[value["blob"]]
        return {key: _in_place(inner, blobs) for key, inner in value.items()}
    if isinstance(value, list):
        return [_in_place(inner, blobs) for inner in value]
    return value


def _death(code: int) -> str:
    """Why the child ended, in words."""
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return "it took more time or memory than a file may take"
    if code < 0:
        return f"the reader was stopped by {signal.Signals(-code).name}"
    return "the reader gave up on it"
