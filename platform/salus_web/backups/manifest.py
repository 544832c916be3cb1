"""What a backup says of itself: which files with which digests, how many rows, where the log stood. Authentic by its key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from salus_web.common.errors import IntegrityBroken
from salus_web.common.keys import derived

FORM = 1
FILE, TAG = "manifest.json", "manifest.tag"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup. `files` are name → sha256 of the sealed file; `rows` are table → count in the copied moment."""

    backup: str
    taken_at: str
    version: str
    vendor: str
    migrations: tuple[str, ...]
    rows: dict[str, int]
    log: dict[str, Any]
    files: dict[str, str]
    blobs: int
    form: int = field(default=FORM)


def write(manifest: Manifest, folder: Path, *, key: str) -> None:
    """Write the manifest and its tag. It is written last: a folder without it is no backup."""
    body = orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS)
    (folder / TAG).write_text(_tag(body, key) + "\n", encoding="ascii")
    (folder / FILE).write_bytes(body)


def read(folder: Path, *, key: str) -> Manifest:
    """The manifest, once its tag and the digest of each file are right. Raises IntegrityBroken naming the file."""
    try:
        body, tag = (folder / FILE).read_bytes(), (folder / TAG).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise IntegrityBroken(f"{folder.name} is no whole backup: {FILE} or {TAG} is missing or cannot be read.") from None
    if not hmac.compare_digest(tag, _tag(body, key)):
        raise IntegrityBroken(f"{FILE} of {folder.name} was changed, or this is not the key of this backup.")
    said: dict[str, Any] = orjson.loads(body)
    if said.get("form") != FORM:
        raise IntegrityBroken(f"{folder.name} was written by another version of Salus (form {said.get('form')}).")
    manifest = Manifest(**said | {"migrations": tuple(said["migrations"])})
    for name, digest in manifest.files.items():
        if not (folder / name).is_file():
            raise IntegrityBroken(f"{name} is missing from {folder.name}.")
        if _digest(folder / name) != digest:
            raise IntegrityBroken(f"{name} in {folder.name} is not the file that was written: it was changed or cut.")
    return manifest


def _tag(body: bytes, key: str) -> str:
    return hmac.new(derived(key, "backup:manifest"), body, hashlib.sha256).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
