"""What another mark does to the risk: two readers do not draw the same outline, and some draw only a box.

An image without a mark stays as it is. What is measured on a mark is measured again.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from salus_learn.contracts import Region, SnapshotImage
from salus_learn.features.readings import Reading, read_features
from salus_learn.imaging.prepare import Box
from salus_learn.stress.faults import Change, Fault
from salus_learn.stress.held_out import HeldOut


def with_measures(held: HeldOut) -> tuple[tuple[Reading, ...], ...]:
    """The readings, those taken from marked regions as the images now are."""
    task = held.model.task
    if not any(spec.region for spec in task.features):
        return held.readings
    return tuple(
        tuple(new if spec.region else old for spec, old, new in zip(task.features, row, read_features(task, one), strict=True))
        for row, one in zip(held.readings, held.snapshots, strict=True)
    )


def _stretched(across: bool, down: bool) -> Change:
    """The mark so many times as large about its own middle; its outline keeps its measures."""

    def change(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
        region = image.region
        if region is None:
            return image
        left, right = _about(region.left, region.right, strength) if across else (region.left, region.right)
        top, bottom = _about(region.top, region.bottom, strength) if down else (region.top, region.bottom)
        return replace(image, region=replace(region, left=left, right=right, top=top, bottom=bottom))

    return change


def _about(low: int, high: int, strength: float) -> tuple[int, int]:
    middle, half = (low + high) / 2, strength * (high - low) / 2
    return math.floor(middle - half), max(math.ceil(middle + half), math.floor(middle - half) + 1)


def _beside(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    """The mark moved by a share of its longer side, in a random direction."""
    region = image.region
    if region is None:
        return image
    far = strength * max(region.right - region.left, region.bottom - region.top)
    turn = rng.uniform(0, 2 * math.pi)
    across, down = round(far * math.cos(turn)), round(far * math.sin(turn))
    moved = replace(region, left=region.left + across, right=region.right + across, top=region.top + down, bottom=region.bottom + down)
    return replace(image, region=moved)


def _boxed(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    """The same box, and nobody knows the outline."""
    region = image.region
    if region is None:
        return image
    return replace(image, region=Region(region.left, region.top, region.right, region.bottom, region.marked_by))


MARK_FAULTS = (
    Fault("mark drawn beside", _beside, (("by 10 % of its longer side", 0.1), ("by 25 % of its longer side", 0.25))),
    Fault("mark drawn larger", _stretched(True, True), (("by a tenth", 1.1), ("by a third", 4 / 3))),
    Fault("mark drawn smaller", _stretched(True, True), (("by a tenth", 0.9), ("by a third", 2 / 3))),
    Fault("mark drawn taller", _stretched(False, True), (("by a tenth", 1.1), ("by a quarter", 1.25))),
    Fault("only a box drawn", _boxed, (("without the outline", 0.0),)),
)
