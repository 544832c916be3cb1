"""The first thing that happens in a worker's child: torch's threads are set before torch is used."""

from __future__ import annotations

from typing import Any

import torch
from celery.signals import worker_process_init

from salus_workers.runtime.environment import threads


@worker_process_init.connect
def first_thing_in_child(**_: Any) -> None:
    """A forked child must set torch's threads before using it, or it hangs when its parent had used torch."""
    torch.set_num_threads(threads())
