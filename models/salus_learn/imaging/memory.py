"""Keeps freed memory in the process. For command lines only: workers get the same from their environment."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt(3)
_ONE_GIB = 1 << 30


def keep_freed_memory() -> bool:
    """Ask the C library not to hand large freed blocks back to the system; whether it could be asked.

    Without it every batch's maps are mapped and zeroed anew, which made tuning at batches of 32 more than twice as slow.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # not glibc
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _ONE_GIB)) and bool(mallopt(_TRIM_THRESHOLD, _ONE_GIB))
