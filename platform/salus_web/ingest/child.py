"""Runs the parsing child and reads its answer. Any death of the child is a refusal with a reason."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

import salus_web
from salus_web.common.errors import BadInput

MEMORY_BYTES = 2 << 30
SECONDS_PER_MEGABYTE, SECONDS_AT_LEAST = 2, 20


def parse_in_child(raw: bytes, name: str) -> dict[str, Any]:
    """The parsed document with its binary parts in place. Raises BadInput with the sentence of the refusal."""
    seconds = SECONDS_AT_LEAST + SECONDS_PER_MEGABYTE * (len(raw) >> 20)
    root = str(Path(salus_web.__file__).resolve().parents[1])
    command = [sys.executable, "-m", "salus_web.ingest.parse_child", str(MEMORY_BYTES), str(seconds), name]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, input=raw, capture_output=True, timeout=seconds * 2, env=environment, cwd="/", check=False
        )
    except subprocess.TimeoutExpired:
        raise BadInput(f"{name} took too long to read, so it was refused.") from None
    if done.returncode != 0 or len(done.stdout) < 8:
        raise BadInput(f"{name} could not be read: {_death(done.returncode)}.")
    return _joined(done.stdout, name)


def _joined(answer: bytes, name: str) -> dict[str, Any]:
    size = int.from_bytes(answer[:8], "big")
    document = orjson.loads(answer[8 : 8 + size])
    if "refused" in document:
        raise BadInput(document["refused"])
    blobs, at = [], 8 + size
    for length in document["sizes"]:
        blobs.append(answer[at : at + length])
        at += length
    if at != len(answer):
        raise BadInput(f"{name} could not be read: the reader's answer was cut short.")
    return _in_place(document, blobs)


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
    if code == -signal.SIGXCPU or code == -signal.SIGKILL:
        return "it took more time or memory than a file may take"
    if code < 0:
        return f"the reader was stopped by {signal.Signals(-code).name}"
    return "the reader gave up on it"
