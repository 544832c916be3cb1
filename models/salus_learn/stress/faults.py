"""One thing that goes wrong with an image or with what is marked on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from salus_learn.contracts import SnapshotImage
from salus_learn.imaging.prepare import Box

Change = Callable[[SnapshotImage, Box, float, np.random.Generator], SnapshotImage]


@dataclass(frozen=True, slots=True)
class Fault:
    """`change` is handed the image, the square that the model looks at, how strong, and a generator; each strength has its words."""

    name: str
    change: Change
    strengths: tuple[tuple[str, float], ...]
