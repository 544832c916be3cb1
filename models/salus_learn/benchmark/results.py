"""The file of results: read, kept row by row, written whole or not at all; and the facts that make a figure repeatable."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from salus_learn.errors import LearnError
from salus_learn.imaging.encoder import best_device

FORM = 1
_LIBRARY = Path(__file__).resolve().parents[1]


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """The rows by task file; none when there is no file. Raises LearnError for a file that is something else."""
    if not path.exists():
        return {}
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        rows = {row["task_file"]: row for row in body["rows"]} if body["form"] == FORM else None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        rows = None
    if rows is None:
        raise LearnError(f"{path.name} is not a benchmark's results of form {FORM}; it was left as it is. Name another file.")
    return rows


def write_results(path: Path, rows: dict[str, dict[str, Any]]) -> None:
    """Replace the file in one step, so that an interrupted run leaves the last whole one."""
    body = {
        "form": FORM,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "rows": [rows[name] for name in sorted(rows)],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8") as stream:
        json.dump(body, stream, indent=1, allow_nan=False, ensure_ascii=False)
        stream.write("\n")
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)


def machine() -> dict[str, Any]:
    """What the seconds were measured on."""
    packages = ("torch", "numpy", "scikit-learn", "xgboost-cpu", "onnxruntime")
    return {
        "cores": os.cpu_count(), "threads": torch.get_num_threads(), "processor": platform.machine(), "device": best_device(),
        "system": platform.system(), "python": platform.python_version(), "versions": {name: version(name) for name in packages},
    }  # fmt: skip


def code_digest() -> str:
    """sha256 over the library's own source: figures of other code are other figures."""
    found = hashlib.sha256()
    for path in sorted(_LIBRARY.rglob("*.py")):
        found.update(f"{path.relative_to(_LIBRARY)}\n".encode() + path.read_bytes())
    return found.hexdigest()
