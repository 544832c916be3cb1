"""Faults of the machine beneath the platform, in words: the disk is full, the database is away. Holds no page and no rule.

A disk is never filled to its last byte on purpose: what takes room stops while a reserve is left, and the reserve keeps the
log, and with it every reading, going.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError

from salus_web.common.errors import NoRoom, causes

FULL = (
    "The disk of this system is full, so nothing was stored, and nothing of it is kept half. What is stored already is safe. "
    "Please call IT; try again when they have made room."
)
AWAY = "The database does not answer just now. What was stored is safe, and nothing is kept half. Please try again in a minute."
BUSY = "The database was busy for too long, so nothing was stored. Please try again."
_FULL_NUMBERS = {errno.ENOSPC, errno.EDQUOT}
_FULL_STATES = {"53100"}  # PostgreSQL's disk_full
_FULL_WORDS = ("disk is full", "no space left")
_BUSY_WORDS = ("database is locked", "database table is locked", "lock timeout")


def sentence_for(error: BaseException | None) -> str:
    """What a person is told when this error is a fault of the machine; empty for any other error."""
    found = list(causes(error))
    if any(is_disk_full(cause) for cause in found):
        return FULL
    if any(isinstance(cause, OperationalError | InterfaceError) for cause in found):
        return BUSY if any(word in str(cause).lower() for cause in found for word in _BUSY_WORDS) else AWAY
    return ""


def is_disk_full(error: BaseException) -> bool:
    """Whether this one error says that a disk, or somebody's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in _FULL_NUMBERS
    if getattr(error, "sqlstate", "") in _FULL_STATES:
        return True
    return isinstance(error, DatabaseError | sqlite3.Error) and any(word in str(error).lower() for word in _FULL_WORDS)


def check_room(size_bytes: int) -> None:
    """Raise NoRoom when so many bytes more would eat into the reserve that keeps the log and reading going."""
    place = Path(settings.SALUS_DATA_DIR)
    while not place.exists():
        place = place.parent
    left = shutil.disk_usage(place).free
    if left - size_bytes < settings.SALUS_RESERVE_BYTES:
        raise NoRoom(
            "The disk of this system is almost full, so nothing new is taken in; what is stored can still be read. "
            "Please call IT; try again when they have made room."
        )
