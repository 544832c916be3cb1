"""The process environment of numeric libraries. Imported before them; imports none of them."""

from __future__ import annotations

import os
import sys

THREADS_VARIABLE = "SALUS_WORKER_THREADS"


def threads() -> int:
    """How many threads one worker process may use; 1 unless SALUS_WORKER_THREADS says otherwise."""
    wanted = os.environ.get(THREADS_VARIABLE) or "1"
    return max(1, int(wanted)) if wanted.isdigit() else 1


def prepare() -> None:
    """Few threads, passive waiting (two spinning pools on two cores halve each other), no freed memory given back
    after each tensor (that alone costs torch more than half of its speed)."""
    defaults = {
        "OMP_NUM_THREADS": str(threads()), "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0",
        "MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(sys.maxsize),
    }  # fmt: skip
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
