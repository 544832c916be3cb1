"""The GPU serves the same encoder as the CPU. Runs where a CUDA device is; says so where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from salus_learn.imaging.encoder import open_encoder, write_encoder

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
