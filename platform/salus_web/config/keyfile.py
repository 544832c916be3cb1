"""The laptop's key file: made once, mode 600, never inside the database."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def load_or_make_keys(data_dir: Path) -> dict[str, Any]:
    """Read keys.json in the data folder, or make it so that only its owner can read it."""
    path = data_dir / "keys.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        data_dir.mkdir(parents=True, exist_ok=True)
    keys = {
        "secret_key": secrets.token_urlsafe(50),
        "data_keys": {"k1": secrets.token_hex(32)},
        "current_data_key": "k1",
        "index_key": secrets.token_hex(32),
    }
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process made it in this very moment
        return json.loads(path.read_text())
    with os.fdopen(handle, "w") as stream:
        json.dump(keys, stream)
    return keys
