"""The plain peer on images: MONAI's DenseNet121 (Huang 2017), taught from scratch for a set time."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from salus_learn.benchmark.packages import package
from salus_learn.benchmark.peer import FittedPeer, threshold_of
from salus_learn.benchmark.people import Asked, Taught, inner_splits
from salus_learn.errors import TrainingError
from salus_learn.imaging.augment import policy_of
from salus_learn.imaging.encoder import best_device
from salus_learn.imaging.prepare import prepared

BATCH = 16
RATE = 3e-4
KEPT_PART = 4  # one in four training people teaches nothing and gives the operating point, as with our tuned encoder
PROBE = 4
FEW_PASSES = 10  # under so many passes at full size, the images are halved
CAUTION = "The network saw its training images under ten times, so it says little about what such a network can do."


@dataclass(frozen=True, eq=False)
class _Pictures:
    """N images as the model is shown them: pixels (N, C, S, S) uint8, the place of each one's case among the asked,
    and whether each may be mirrored (left-right, upside down), (N, 2) bool."""

    pixels: torch.Tensor
    case: np.ndarray
    mirrors: torch.Tensor

    @property
    def side(self) -> int:
        """S, as the task shows them."""
        return self.pixels.shape[-1]

    def batch(self, at: np.ndarray, side: int, device: str) -> torch.Tensor:
        """(B, C, side, side) float32 in [-1, 1]."""
        shown = (self.pixels[at].to(device).float() - 127.0) / 128.0
        return shown if side == self.side else functional.interpolate(shown, side, mode="bilinear", antialias=True)


class DenseNet:
    """DenseNet121 on every image of a person; the margins of several images (slots, views) are averaged."""

    name = "densenet121"
    package = "monai"
    reads = "image"
    how = (
        "MONAI DenseNet121 from scratch, Adam 3e-4, cross entropy, mirrored where the task allows; three quarters of the people "
        "teach it, the rest choose the pass and the operating point; crops as ours, margins averaged over images"
    )

    def fit(self, taught: Taught, *, seed: int, seconds: float) -> FittedPeer:
        """Teach for `seconds` of wall time. Raises TrainingError when an outcome has no image."""
        channels = 3 if any(np.ndim(one.pixels) == 3 for images in taught.asked.images for one in images) else 1
        shown = _pictures(taught.asked, channels)
        inside, kept = inner_splits(taught, KEPT_PART, seed=seed)[0]
        teaching = np.flatnonzero(np.isin(shown.case, inside))
        if len(np.unique(taught.target.y[shown.case[teaching]])) < 2:
            raise TrainingError("The image peer needs images of people with and without the outcome.")
        learner = _Learner(channels, shown, torch.from_numpy(taught.target.y[shown.case].astype(np.int64)), seed)
        watched = np.flatnonzero(np.isin(shown.case, kept))
        notes = learner.teach(teaching, watched, seconds)

        def risks(asked: Asked) -> np.ndarray:
            return _per_case(learner.margins(_pictures(asked, channels)), _cases(asked), len(asked.keys))

        return FittedPeer(risks, threshold_of(taught.take(kept), risks(taught.asked.take(kept))), notes)


class _Learner:
    """The network and what it takes to teach it; margins are log odds."""

    def __init__(self, channels: int, shown: _Pictures, target: torch.Tensor, seed: int) -> None:
        torch.manual_seed(seed)
        nets = package("monai.networks.nets")
        self.device = best_device()
        self.network: nn.Module = nets.DenseNet121(spatial_dims=2, in_channels=channels, out_channels=2).to(self.device)
        self.shown, self.target, self.side = shown, target, shown.side
        self.order = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE)

    def teach(self, teaching: np.ndarray, watched: np.ndarray, seconds: float) -> dict[str, Any]:
        """Passes over the images until the time is up; the weights of the pass with the least loss on `watched` stay."""
        self._choose_side(teaching, seconds)
        deadline, images, passes = time.monotonic() + seconds, 0, 0
        best: tuple[float, dict[str, Any]] | None = None
        for batch in self._batches(teaching):
            if time.monotonic() >= deadline and images:
                break
            self._step(batch)
            images += len(batch)
            if images // len(teaching) > passes:
                passes = images // len(teaching)
                best = self._better(best, watched)
        best = self._better(best, watched)
        self.network.load_state_dict(best[1])
        found = {"side": self.side, "passes": round(images / len(teaching), 2), "images": len(teaching), "loss_kept": round(best[0], 4)}
        return found | ({"caution": CAUTION} if images < FEW_PASSES * len(teaching) else {})

    def _choose_side(self, teaching: np.ndarray, seconds: float) -> None:
        """Half the side where the time would not give ten passes at the full one: fewer cells are better than no learning.

        Two steps on a few images are timed and undone; the first only warms up."""
        as_new, probe = copy.deepcopy(self.network.state_dict()), teaching[:PROBE]
        for _ in range(2):
            began = time.monotonic()
            self._step(probe)
        a_pass = (time.monotonic() - began) / len(probe) * len(teaching)
        self.network.load_state_dict(as_new)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=RATE)
        if a_pass * FEW_PASSES > seconds:
            self.side = self.shown.side // 2

    def _batches(self, images: np.ndarray) -> Iterator[np.ndarray]:
        """Pass after pass in random order. A last batch of one image is left out: it has no batch statistics."""
        while True:
            shuffled = self.order.permutation(images)
            for start in range(0, len(shuffled), BATCH):
                if len(shuffled) - start > 1:
                    yield shuffled[start : start + BATCH]

    def _step(self, at: np.ndarray) -> None:
        self.network.train()
        x = self._mirrored(self.shown.batch(at, self.side, self.device), at)
        loss = functional.cross_entropy(self.network(x), self.target[at].to(self.device))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def _mirrored(self, x: torch.Tensor, at: np.ndarray) -> torch.Tensor:
        """Half of the images mirrored, along the directions their slot allows."""
        turned = (torch.rand(len(at), 2, generator=self.generator) < 0.5) & self.shown.mirrors[at]
        for direction, axis in enumerate((3, 2)):
            chosen = turned[:, direction].to(x.device)
            x = torch.where(chosen[:, None, None, None], x.flip(axis), x)
        return x

    def _better(self, best: tuple[float, dict[str, Any]] | None, watched: np.ndarray) -> tuple[float, dict[str, Any]]:
        """The weights as they are, if their loss on the watched images is less than the best so far."""
        margins = self.margins(self.shown, watched)
        y = self.target[watched].numpy()
        loss = float(np.logaddexp(0.0, np.where(y == 1, -margins, margins)).mean()) if len(watched) else 0.0
        if best is not None and loss >= best[0]:
            return best
        return loss, copy.deepcopy(self.network.state_dict())

    def margins(self, shown: _Pictures, at: np.ndarray | None = None) -> np.ndarray:
        """Log odds (N,) of images as they are."""
        places = np.arange(len(shown.case)) if at is None else at
        self.network.eval()
        out = np.empty(len(places))
        with torch.inference_mode():
            for start in range(0, len(places), 2 * BATCH):
                part = places[start : start + 2 * BATCH]
                found = self.network(shown.batch(part, self.side, self.device)).double().cpu().numpy()
                out[start : start + len(part)] = found[:, 1] - found[:, 0]
        return out


def _pictures(asked: Asked, channels: int) -> _Pictures:
    """Every image of the task's slots, cut out and scaled as for our encoder."""
    specs = {spec.name: spec for spec in asked.task.images}
    flat = [image for images in asked.images for image in images if image.slot in specs]
    side = asked.task.images[0].side
    pixels = torch.empty(len(flat), channels, side, side, dtype=torch.uint8)
    for at, image in enumerate(flat):
        shown, _ = prepared(image, specs[image.slot])  # (3, S, S)
        pixels[at] = torch.from_numpy(np.clip(np.rint(shown[:channels] * 128 + 127), 0, 255).astype(np.uint8))
    allowed = [(specs[image.slot].flips, policy_of(specs[image.slot]).upside_down) for image in flat]
    return _Pictures(pixels, _cases(asked), torch.tensor(allowed, dtype=torch.bool).reshape(-1, 2))


def _cases(asked: Asked) -> np.ndarray:
    """(N,) the place of each image's case."""
    slots = {spec.name for spec in asked.task.images}
    return np.array([at for at, images in enumerate(asked.images) for image in images if image.slot in slots], dtype=int)


def _per_case(margins: np.ndarray, case: np.ndarray, n: int) -> np.ndarray:
    """(n,) risk from the mean margin of a case's images; NaN without one."""
    times = np.bincount(case, minlength=n)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(case, weights=margins, minlength=n) / times
    return 1.0 / (1.0 + np.exp(-mean))
