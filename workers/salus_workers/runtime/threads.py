"""Threads of numeric libraries, set before any of them computes (two spinning pools on two cores halve each other)."""

from __future__ import annotations

import os
from typing import Any

import torch
from celery.signals import worker_process_init

THREADS_VARIABLE = "SALUS_WORKER_THREADS"


def threads() -> int:
    """How many threads one worker process may use; 1 unless SALUS_WORKER_THREADS says otherwise."""
    wanted = os.environ.get(THREADS_VARIABLE, "1")
    return max(1, int(wanted)) if wanted.isdigit() else 1


def limit_threads() -> None:
    """Ask for passive waiting and few threads in this process and in children made later."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads()))


@worker_process_init.connect
def first_thing_in_child(**_: Any) -> None:
    """A forked child must set torch's threads before using it, or it hangs when its parent had used torch."""
    torch.set_num_threads(threads())
