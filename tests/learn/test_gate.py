"""The gate on real images: it lets its own kind pass and stops others, and its own when they are spoiled."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.imaging.embed import embed
from salus_learn.imaging.encoder import default_encoder
from salus_learn.imaging.gate import Gate, fit_gate
from salus_learn.tasks.pictures import picture

pytestmark = [pytest.mark.data, pytest.mark.slow]
FILM = ImageSpec("film", "Chest film", "DX", "CHEST")


def of(pixels: np.ndarray) -> SnapshotImage:
    return SnapshotImage("film", "DX", "CHEST", "", datetime(2026, 1, 1, tzinfo=UTC), "a file", "", pixels)


def some(folder: Path, count: int, seed: int) -> list[np.ndarray]:
    files = sorted((folder / "images").iterdir())
    order = np.random.default_rng(seed).permutation(len(files))
    return [picture(files[at], "a test")[0] for at in order[:count]]


def refused(gate: Gate, images: list[np.ndarray]) -> list[str]:
    found = embed([[of(pixels)] for pixels in images], [FILM], default_encoder())
    return [why for one in found.images if (why := gate.why(one[0].kind, one[0].spread))]


def test_a_chest_gate_lets_chests_pass_and_stops_the_rest(shared_data: Path) -> None:
    films = some(shared_data / "kermany_cxr", 200, seed=1)
    gate = fit_gate([of(pixels) for pixels in films[:150]], FILM, default_encoder().run, seed=0)
    assert gate is not None
    good = films[150:]
    assert len(refused(gate, good)) <= 3, "few of fifty good ones"
    assert len(refused(gate, some(shared_data / "odir_fundus", 12, seed=2))) == 12
    assert len(refused(gate, some(shared_data / "ham10000_small", 12, seed=2))) == 12
    spoiled = good[:12]
    assert len(refused(gate, [np.rot90(pixels).copy() for pixels in spoiled])) >= 11
    assert len(refused(gate, [pixels[::-1, ::-1].copy() for pixels in spoiled])) >= 11
    assert len(refused(gate, [255 - pixels for pixels in spoiled])) >= 10
    assert len(refused(gate, [pixels[: len(pixels) * 6 // 10, : pixels.shape[1] * 6 // 10].copy() for pixels in spoiled])) >= 11
    assert refused(gate, [np.full((256, 256), 90, np.uint8)]) == ["The image is blank."]


def test_too_few_images_make_no_gate(shared_data: Path) -> None:
    films = some(shared_data / "kermany_cxr", 39, seed=1)
    assert fit_gate([of(pixels) for pixels in films], FILM, default_encoder().run, seed=0) is None
