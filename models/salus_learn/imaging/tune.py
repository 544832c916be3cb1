"""Tunes the encoder on training people: small pictures first, larger ones later, each varied anew every time.

The first blocks stay as published: they find edges and colours, and cost most. Progressive resizing follows Tan and Le,
EfficientNetV2 (2021); the rates follow Smith's one cycle (2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.imaging.augment import augmented
from salus_learn.imaging.embed import Report
from salus_learn.imaging.encoder import best_device, new_network
from salus_learn.imaging.network import LAST_CHANNELS, REDUCTION, Encoder
from salus_learn.imaging.prepare import prepared

CHUNK = 32
WATCHED = 96  # images whose loss is drawn after each pass: a curve, on which nothing is decided


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how hard to tune. `views` is how many pictures are looked at in all, within the bounds of passes; of
    the passes the first share is at 4/7 of the side that is served (128 pixels of 224), the next at 5/7, and the last as served. `rate` is the top of the cycle; the
    classifier learns `head_rate` times as fast."""

    views: int = 8_500
    most_a_pass: int = 4_000  # of a large set each pass draws so many
    fewest_passes: int = 3
    most_passes: int = 12
    shares: tuple[float, float] = (0.4, 0.85)
    batch: int = 32
    rate: float = 4e-4
    head_rate: float = 5.0
    decay: float = 0.05
    dropout: float = 0.3
    smoothing: float = 0.1

    def passes_over(self, images: int) -> int:
        """How often so many images are looked at."""
        return int(np.clip(self.views // max(images, 1), self.fewest_passes, self.most_passes))

    def side_of_each_pass(self, passes: int, served: int) -> tuple[int, ...]:
        """Pixels of each of so many passes, where so many are served."""
        sides = (*(REDUCTION * round(served * part / 7 / REDUCTION) for part in (4, 5)), served)
        first, last = round(self.shares[0] * passes), min(round(self.shares[1] * passes), passes - 1)
        return tuple(sides[(at >= first) + (at >= last)] for at in range(passes))

    def on(self, device: str) -> Recipe:
        """The recipe of a device. A GPU takes twice the batch: as many steps over twice the pictures, and a rate that grows with
        the root of the batch (Malladi et al. 2022, arXiv:2205.10287)."""
        if device != "cuda":
            return self
        return replace(self, views=2 * self.views, most_passes=2 * self.most_passes, batch=2 * self.batch, rate=self.rate * 2**0.5)


@dataclass(frozen=True, slots=True)
class Pixels:
    """N prepared images: shown (N, 3, S, S) uint8, each one's case, and its slot as a place in `specs`. `varied` says
    whether tuning shows them varied."""

    shown: torch.Tensor
    case: np.ndarray
    slot: np.ndarray
    specs: tuple[ImageSpec, ...]
    varied: bool = True


@dataclass(frozen=True, slots=True)
class TunedNetwork:
    """The network, its classifier on pooled last maps (weight (2 + K, 1280), bias (2 + K,): without and with the outcome,
    then its K kinds), and the loss after each pass on the training images and, where given, on watched ones."""

    network: Encoder
    weight: np.ndarray
    bias: np.ndarray
    history: tuple[tuple[float, float | None], ...]


def read_pixels(
    cases: Sequence[Sequence[SnapshotImage]], specs: Sequence[ImageSpec], *, report: Report | None = None
) -> Pixels:
    """Cut out and scale every image of the slots once."""
    place = {spec.name: at for at, spec in enumerate(specs)}
    flat = [(case, image) for case, images in enumerate(cases) for image in images if image.slot in place]
    side = specs[0].side  # the same for all slots
    shown = torch.empty(len(flat), 3, side, side, dtype=torch.uint8)
    for at, (_, image) in enumerate(flat):
        pixels, _ = prepared(image, specs[place[image.slot]])
        shown[at] = torch.from_numpy(pixels * 128 + 127).round().to(torch.uint8)
        if report and at % CHUNK == 0:
            report(at / len(flat), f"reading images, {at} of {len(flat)}")
    slots = np.array([place[image.slot] for _, image in flat], dtype=int)
    return Pixels(shown, np.array([case for case, _ in flat], dtype=int), slots, tuple(specs))


def tune(
    pixels: Pixels, target: np.ndarray, cases: np.ndarray, *, seed: int, recipe: Recipe | None = None,
    watched: np.ndarray | None = None, passes: int | None = None, report: Report | None = None,
) -> TunedNetwork:
    """Tune on the images of `cases`; target (N, 2) int: of each image the outcome (0, 1, or -1 for not known) and the kind
    (0..K-1, or -1 for none). The loss on the images of `watched` cases is written down and used for nothing.
    `passes` over the images instead of the recipe's, where others were tuned so.
    """
    recipe, order = (recipe or Recipe()).on(best_device()), np.random.default_rng(seed)
    inside = np.flatnonzero(np.isin(pixels.case, cases) & (target[:, 0] >= 0))
    a_pass = min(len(inside), recipe.most_a_pass)
    sides = recipe.side_of_each_pass(passes or recipe.passes_over(a_pass), pixels.shown.shape[-1])
    tuning = _Tuning(pixels, torch.from_numpy(target.astype(np.int64)), recipe, len(sides) * _steps(a_pass, recipe), seed)
    history: list[tuple[float, float | None]] = []
    for number, side in enumerate(sides):
        loss = tuning.one_pass(order.permutation(inside)[:a_pass], side)
        history.append((loss, None if watched is None else tuning.loss(watched)))
        if report:
            report((number + 1) / len(sides), f"tuning, pass {number + 1} of {len(sides)}, loss {loss:.3f}")
    network = tuning.network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    weight, bias = (part.detach().cpu().double().numpy() for part in (tuning.head.weight, tuning.head.bias))
    return TunedNetwork(network, weight, bias, tuple(history))


def _steps(images: int, recipe: Recipe) -> int:
    """Steps of one pass: batches of nearly the same size, so that no small one sways the batch statistics."""
    return max(1, round(images / recipe.batch))


class _Tuning:
    """The network and its classifier while they learn."""

    def __init__(self, pixels: Pixels, target: torch.Tensor, recipe: Recipe, steps: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.pixels, self.target, self.recipe = pixels, target, recipe
        self.device, self.generator = best_device(), torch.Generator().manual_seed(seed)
        network, _ = new_network(tuned=True)
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.front = network.eval().fused_front().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # the kinds are counted over all images, so that every fold's classifier has the same shape
        self.head = nn.Linear(LAST_CHANNELS, 2 + max(int(target[:, 1].max()) + 1, 0)).to(self.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        own = [parameter for part in network.tuned_parts() for parameter in part.parameters()]
        rates = [recipe.rate, recipe.rate * recipe.head_rate]
        groups = [{"params": own, "lr": rates[0]}, {"params": list(self.head.parameters()), "lr": rates[1]}]
        self.optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, max_lr=rates, total_steps=steps, pct_start=0.2)

    def one_pass(self, images: np.ndarray, side: int) -> float:
        """Each image once, in this order. Returns the mean loss."""
        self._learn()
        total = 0.0
        for at in np.array_split(images, _steps(len(images), self.recipe)):
            margins = self.head(functional.dropout(self._pooled(self._shown(at, side)), self.recipe.dropout))
            loss = _cross_entropy(margins, self.target[at].to(self.device), smoothing=self.recipe.smoothing)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            total += float(loss.detach()) * len(at)
        return total / max(len(images), 1)

    def loss(self, cases: np.ndarray) -> float | None:
        """Mean log loss on some images of these cases, always the same, each as it is and as large as it is served."""
        images = np.flatnonzero(np.isin(self.pixels.case, cases) & (self.target[:, 0] >= 0).numpy())
        if not len(images):
            return None
        images = np.random.default_rng(0).permutation(images)[:WATCHED]
        self.network.eval()
        total = 0.0
        with torch.inference_mode():
            for start in range(0, len(images), CHUNK):
                at = images[start : start + CHUNK]
                margins = self.head(self._pooled(_scaled(self.pixels.shown[at])))
                total += float(_cross_entropy(margins, self.target[at].to(self.device))) * len(at)
        return total / len(images)

    def _learn(self) -> None:
        """Batch statistics are learned too, but only of the parts that are tuned."""
        self.network.eval()
        for part in self.network.tuned_parts():
            part.train()

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        """(B, 1280) of pixels; on a GPU under autocast to bfloat16 (on a CPU it was measured to be no faster)."""
        x = x.to(self.device).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda"):
            with torch.no_grad():
                front = self.front(x)
            pooled = self.network.back(front).mean(dim=(2, 3))
        return pooled.float()

    def _shown(self, at: np.ndarray, side: int) -> torch.Tensor:
        """(B, 3, side, side): these images, each varied by its slot's own policy."""
        shown = functional.interpolate(_scaled(self.pixels.shown[at]), side, mode="bilinear", antialias=True)
        if not self.pixels.varied:
            return shown
        out = torch.empty_like(shown)
        for slot in np.unique(self.pixels.slot[at]):
            these = np.flatnonzero(self.pixels.slot[at] == slot)
            out[these] = augmented(shown[these], self.pixels.specs[slot], self.generator)
        return out


def _scaled(shown: torch.Tensor) -> torch.Tensor:
    return (shown.float() - 127.0) / 128.0


def _cross_entropy(margins: torch.Tensor, target: torch.Tensor, *, smoothing: float = 0.0) -> torch.Tensor:
    """Mean log loss of the outcome, plus that of the kind over those who have one (both over all images)."""
    loss = functional.cross_entropy(margins[:, :2], target[:, 0], label_smoothing=smoothing)
    if margins.shape[1] == 2:
        return loss
    kind = functional.cross_entropy(
        margins[:, 2:], target[:, 1], ignore_index=-1, label_smoothing=smoothing, reduction="sum"
    )
    return loss + kind / len(margins)
