"""The first thing that happens in a worker's child: torch's threads are set before torch is used, and pages go before jobs."""

from __future__ import annotations

import os
from typing import Any

import torch
from celery.signals import worker_process_init

from salus_workers.runtime.environment import threads

BEHIND_PAGES = 10  # niceness: where jobs and pages want the same processor, somebody is waiting for the page


@worker_process_init.connect
def first_thing_in_child(**_: Any) -> None:
    """A forked child must set torch's threads before using it, or it hangs when its parent had used torch. What it starts, the
    reading child too, is as nice as it is."""
    torch.set_num_threads(threads())
    os.setpriority(os.PRIO_PROCESS, 0, max(BEHIND_PAGES, os.getpriority(os.PRIO_PROCESS, 0)))
