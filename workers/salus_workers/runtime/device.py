"""Which device this process computes on, chosen once at start."""

from __future__ import annotations

import os
import platform
from functools import lru_cache

import torch


@lru_cache(maxsize=1)
def device_name() -> str:
    """`cuda: <name>` where a CUDA device is usable and SALUS_DEVICE does not forbid it, else `cpu: <machine>`."""
    wanted = os.environ.get("SALUS_DEVICE", "auto")
    if wanted != "cpu" and torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name(0)}"
    return f"cpu: {platform.machine()}"


def encoder_device() -> str:
    """What the library's encoder is asked for: cuda or cpu."""
    return "cuda" if device_name().startswith("cuda") else "cpu"
