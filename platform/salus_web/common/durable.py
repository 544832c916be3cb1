"""Making sure that written files are on the disk: a few one by one, many at once. Knows nothing of what they hold."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from pathlib import Path

ONE_BY_ONE = 8  # a flush of the whole file system waits for everybody's writing, so it pays only for more than a few


def sync_all(paths: Sequence[Path]) -> None:
    """Return when all of these files, and their names, are on the disk. They lie on one file system."""
    if len(paths) > ONE_BY_ONE and _sync_file_system(paths[0]):
        return
    for path in paths:
        _sync(path)
    for folder in sorted({path.parent for path in paths}):
        _sync(folder)


def _sync(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return  # taken away again by whoever wrote it
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_file_system(path: Path) -> bool:
    """One flush for all; False where the system has no such call. Raises OSError when the disk refuses."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        if call(handle) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)
    return True
