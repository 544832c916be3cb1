"""The laptop's key file: made once, mode 600, never inside the database."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from salus_web.common.key_sources import KeyTrouble, key_set_from, read_private


def load_or_make_keys(data_dir: Path) -> dict[str, Any]:
    """Read keys.json in the data folder, or make it so that only its owner can read it. Raises KeyTrouble for one that
    others can read or that is not whole."""
    path = data_dir / "keys.json"
    if not path.exists():
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(path, {
            "secret_key": secrets.token_urlsafe(50),
            "data_keys": {"k1": secrets.token_hex(32)},
            "current_data_key": "k1",
            "index_key": secrets.token_hex(32),
        })  # fmt: skip
    text = read_private(path)
    key_set_from(text, where=str(path))
    keys = json.loads(text)
    missing = {"secret_key", "data_keys", "current_data_key", "index_key"} - set(keys)
    if missing:
        raise KeyTrouble(f"{path} lacks {', '.join(sorted(missing))}.")
    return keys


def _write_new(path: Path, keys: dict[str, Any]) -> None:
    """Write the file unless it is there: linked into its place whole, so that nobody ever reads a half one."""
    half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        json.dump(keys, stream)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(half, path)
    except FileExistsError:  # another process made it in this very moment
        pass
    finally:
        half.unlink()
