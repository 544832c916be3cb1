"""The encoder that a model was made with, and one that has learnt nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from salus_learn.imaging.encoder import ServedEncoder, default_encoder, open_encoder, write_encoder
from salus_learn.imaging.network import Encoder
from salus_learn.store.model import Model


@contextmanager
def serving(model: Model) -> Iterator[ServedEncoder]:
    """The encoder of a model as training left it: its own tuned network in its served form, else the published weights.

    Not for a model read from a bundle, which serves its encoder itself.
    """
    if model.network is None:
        yield default_encoder()
        return
    with tempfile.TemporaryDirectory(prefix="salus-stress-") as place:
        weights = write_encoder(Path(place), model.network)
        yield open_encoder(Path(place), weights, device="cpu")


def random_encoder(pixels: np.ndarray, *, seed: int) -> ServedEncoder:
    """The same network with random weights in every layer; pixels (n, 3, S, S), n >= 2, are a few prepared films.

    Its batch statistics are those of the films. Without that the random layers would die away to nothing, and the maps
    would differ for a reason that has nothing to do with what was learnt.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Encoder()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the plain mean over the one batch below
    with torch.no_grad():
        network.train()(torch.from_numpy(pixels))
    network.eval()

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(batch)).numpy()

    return ServedEncoder(run, Path(), "random", "cpu")
