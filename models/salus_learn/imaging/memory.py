"""Keeps freed memory in the process, for command lines (workers get the same from their environment); and gives it back."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of glibc's mallopt(3)
_NEVER = -1


def keep_freed_memory() -> bool:
    """Ask the C library not to hand large freed blocks back to the system; whether it could be asked.

    Without it every batch's maps are mapped and zeroed anew, which made tuning at batches of 32 more than twice as slow. A
    threshold of a gigabyte is not enough: the maps of one batch are larger, so that they would be handed back after each.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # not glibc
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))


def give_back_freed_memory() -> bool:
    """Hand freed blocks back to the system, after the largest piece of work; whether any was."""
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (AttributeError, OSError):  # not glibc
        return False
