"""The GPU serves the same encoder as the CPU, and tunes it. Runs where a CUDA device is; says so where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from salus_learn.contracts import ImageSpec
from salus_learn.imaging.encoder import open_encoder, write_encoder
from salus_learn.imaging.tune import Pixels, Recipe, tune

pytestmark = pytest.mark.gpu
AGREEMENT = 2e-3  # TF32 is off by default for matrix products; convolutions on a GPU still round differently


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_cuda_and_onnx_give_the_same_maps(tmp_path: Path) -> None:
    write_encoder(tmp_path)
    pixels = np.random.default_rng(0).uniform(-1, 1, (4, 3, 224, 224)).astype(np.float32)
    by_cpu = open_encoder(tmp_path, device="cpu").run(pixels)
    by_gpu = open_encoder(tmp_path, device="cuda").run(pixels)
    assert by_gpu.shape == by_cpu.shape
    assert np.abs(by_gpu - by_cpu).max() < AGREEMENT


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_tuning_on_cuda_learns_and_is_served_on_the_cpu() -> None:
    rng = np.random.default_rng(0)
    shown = torch.from_numpy(rng.integers(0, 90, (96, 3, 224, 224), dtype=np.uint8))
    outcome = np.arange(96) % 2
    shown[outcome == 1, :, 60:160, 60:160] += 120  # those with the outcome have a bright square
    spec = ImageSpec("film", "Film", "DX", "CHEST")
    pixels = Pixels(shown, np.arange(96), np.zeros(96, dtype=int), (spec,))
    target = np.column_stack([outcome, np.full(96, -1)])
    tuned = tune(pixels, target, np.arange(96), seed=0, recipe=Recipe(most_passes=4))
    assert tuned.history[-1][0] < tuned.history[0][0]
    assert all(not parameter.is_cuda for parameter in tuned.network.parameters())
