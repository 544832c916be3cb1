"""A folder for files that must lie open for a while: in memory where the machine has such a place, so that no kill leaves
them on a disk. What a killed process left is cleared away by the next one that asks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_MEMORY = Path("/dev/shm")  # nosec B108 # folders in it are made private, with names nobody can guess


@contextmanager
def open_folder(prefix: str, *, size_bytes: int) -> Iterator[Path]:
    """A private folder with room for so many bytes, gone afterwards. On disk only where memory has no room for it."""
    places = [IN_MEMORY] if _has_room(IN_MEMORY, size_bytes) else []
    for place in {IN_MEMORY, Path(tempfile.gettempdir())}:
        _clear(place, prefix)
    with tempfile.TemporaryDirectory(prefix=f"{prefix}{os.getpid()}-", dir=places[0] if places else None) as folder:
        yield Path(folder)


def _has_room(place: Path, size_bytes: int) -> bool:
    """Half of what is free may be taken."""
    return place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > 2 * size_bytes


def _clear(place: Path, prefix: str) -> None:
    """Remove folders of processes that are no more."""
    for folder in place.glob(f"{prefix}*-*") if place.is_dir() else []:
        owner = folder.name.removeprefix(prefix).split("-")[0]
        if owner.isdigit() and not _lives(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
