"""Tunes the encoder's last blocks on training people. The early blocks stay as published and run once per image.

What is tuned is a third of the network's work but two thirds of its weights; the early maps of every image and of a few
augmented variants are kept in half precision, so that a pass over the people costs seconds on two cores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.imaging.augment import augmented
from salus_learn.imaging.embed import Report
from salus_learn.imaging.encoder import best_device, export, new_network, onnx_run
from salus_learn.imaging.network import LAST_CHANNELS, Encoder
from salus_learn.imaging.prepare import prepared

VARIANTS = 3  # the image itself and two augmented ones
CHUNK = 32
# beyond these, memory and time would grow without much to gain: no augmented copies, and a random part in each pass
MOST_WITH_VARIANTS = 6000
MOST_A_PASS = 6000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How long and how hard to tune. `rate` is the top of a one-cycle schedule; the classifier learns five times as fast."""

    epochs: int = 6
    batch: int = 32
    rate: float = 7e-4
    decay: float = 0.02
    dropout: float = 0.2
    smoothing: float = 0.02


@dataclass(frozen=True, slots=True)
class EarlyMaps:
    """`maps` (V, N, 112, 14, 14) float16 of N images and V variants (the first is the image itself), and each image's case."""

    maps: torch.Tensor
    case: np.ndarray


@dataclass(frozen=True, slots=True)
class TunedNetwork:
    """The network, its classifier on pooled last maps (weight (2 + K, 1280), bias (2 + K,): without and with the outcome,
    then its K kinds), and the loss after each epoch on the training images and, where given, on watched ones."""

    network: Encoder
    weight: np.ndarray
    bias: np.ndarray
    history: tuple[tuple[float, float | None], ...]


def early_maps(
    cases: Sequence[Sequence[SnapshotImage]], specs: Sequence[ImageSpec], *, seed: int, report: Report | None = None
) -> EarlyMaps:
    """Run the frozen blocks over every image and its augmented variants."""
    by_name = {spec.name: spec for spec in specs}
    flat = [(case, image) for case, images in enumerate(cases) for image in images if image.slot in by_name]
    generator, run = torch.Generator().manual_seed(seed), _early_run()
    variants = VARIANTS if len(flat) <= MOST_WITH_VARIANTS else 1
    maps = torch.empty(variants, len(flat), 112, 14, 14, dtype=torch.float16)
    for start in range(0, len(flat), CHUNK):
        chunk = [image for _, image in flat[start : start + CHUNK]]
        pixels = torch.from_numpy(np.stack([prepared(image, by_name[image.slot])[0] for image in chunk]))
        for variant in range(variants):
            shown = pixels if variant == 0 else _variants(pixels, chunk, by_name, generator)
            maps[variant, start : start + len(chunk)] = torch.from_numpy(run(shown.numpy())).half()
        if report:
            report((start + len(chunk)) / len(flat), f"reading images, {start + len(chunk)} of {len(flat)}")
    return EarlyMaps(maps, np.array([case for case, _ in flat]))


def _variants(
    pixels: torch.Tensor, images: Sequence[SnapshotImage], specs: dict[str, ImageSpec], generator: torch.Generator
) -> torch.Tensor:
    """One augmented variant each, by each slot's own policy."""
    out = torch.empty_like(pixels)
    for slot in {image.slot for image in images}:
        at = [number for number, image in enumerate(images) if image.slot == slot]
        out[at] = augmented(pixels[at], specs[slot], generator)
    return out.contiguous()


class _Early(nn.Module):
    """The frozen part as a module of its own, for export."""

    def __init__(self, network: Encoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.early(x)


def _early_run() -> Callable[[np.ndarray], np.ndarray]:
    network, _ = new_network()
    if best_device() == "cuda":
        on_gpu = network.to("cuda")

        def run(pixels: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return on_gpu.early(torch.from_numpy(pixels).to("cuda")).cpu().numpy()

        return run
    with tempfile.TemporaryDirectory(prefix="salus-early-") as place:
        export(_Early(network).eval(), Path(place) / "early.onnx")
        return onnx_run(Path(place) / "early.onnx")


def tune(
    early: EarlyMaps, y: np.ndarray, cases: np.ndarray, *, kinds: np.ndarray | None = None, seed: int,
    recipe: Recipe | None = None, watched: np.ndarray | None = None, report: Report | None = None,
) -> TunedNetwork:
    """Tune on the images of `cases` (indices into y (n,), 0 or 1, and kinds (n,), 0..K-1 or -1 for none, of all cases).

    Every image is taught its case's outcome and, where it has one, its kind. The loss on the images of `watched` cases is written down and used for
    nothing. Batch statistics stay as published, so that small batches cannot shift them.
    """
    recipe = recipe or Recipe()
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    device = best_device()
    network, _ = new_network()
    network = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    head = nn.Linear(LAST_CHANNELS, 2 + (0 if kinds is None else int(kinds.max()) + 1)).to(device)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    inside = np.flatnonzero(np.isin(early.case, cases))
    target = _targets(early, y, kinds)
    optimiser, schedule = _optimiser(network, head, recipe, min(len(inside), MOST_A_PASS))
    history: list[tuple[float, float | None]] = []
    for epoch in range(recipe.epochs):
        loss = _epoch(network, head, early, target, order.permutation(inside)[:MOST_A_PASS], recipe, order, optimiser, schedule)
        seen = None if watched is None else _loss(network, head, early, target, watched)
        history.append((loss, seen))
        if report:
            report((epoch + 1) / recipe.epochs, f"tuning, pass {epoch + 1} of {recipe.epochs}, loss {loss:.3f}")
    network = network.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    weight, bias = head.weight.detach().cpu().double().numpy(), head.bias.detach().cpu().double().numpy()
    return TunedNetwork(network, weight, bias, tuple(history))


def _targets(early: EarlyMaps, y: np.ndarray, kinds: np.ndarray | None) -> torch.Tensor:
    """(N, 2) int64: of each image the outcome, and the kind or -1."""
    kind = np.full(len(y), -1) if kinds is None else kinds
    return torch.from_numpy(np.column_stack([y, kind])[early.case].astype(np.int64))


def _cross_entropy(margins: torch.Tensor, target: torch.Tensor, *, smoothing: float = 0.0) -> torch.Tensor:
    """Mean log loss of the outcome, plus that of the kind over those who have one (both over all images)."""
    loss = functional.cross_entropy(margins[:, :2], target[:, 0], label_smoothing=smoothing)
    if margins.shape[1] == 2:
        return loss
    kind = functional.cross_entropy(
        margins[:, 2:], target[:, 1], ignore_index=-1, label_smoothing=smoothing, reduction="sum"
    )
    return loss + kind / len(margins)


def _optimiser(network: Encoder, head: nn.Linear, recipe: Recipe, images: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    rates = [recipe.rate, recipe.rate * 5]
    groups = [{"params": network.late_parameters(), "lr": rates[0]}, {"params": list(head.parameters()), "lr": rates[1]}]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.decay)
    steps = recipe.epochs * max(1, -(-images // recipe.batch))
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rates, total_steps=steps, pct_start=0.2)


def _epoch(
    network: Encoder, head: nn.Linear, early: EarlyMaps, target: torch.Tensor, images: np.ndarray, recipe: Recipe,
    order: np.random.Generator, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler,
) -> float:
    """One pass in random order, each image in a random variant. Returns the mean loss."""
    total = 0.0
    for start in range(0, len(images), recipe.batch):
        at = images[start : start + recipe.batch]
        maps = early.maps[order.integers(0, len(early.maps), len(at)), at]
        margins = head(functional.dropout(_pooled(network, head, maps), recipe.dropout))
        loss = _cross_entropy(margins, target[at].to(margins.device), smoothing=recipe.smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        total += float(loss.detach()) * len(at)
    return total / max(len(images), 1)


def _pooled(network: Encoder, head: nn.Linear, maps: torch.Tensor) -> torch.Tensor:
    """(B, 1280) from early maps; on a GPU under autocast to bfloat16."""
    device = head.weight.device
    x = maps.to(device).float().contiguous(memory_format=torch.channels_last)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        pooled = network.late(x).mean(dim=(2, 3))
    return pooled.float()


def _loss(network: Encoder, head: nn.Linear, early: EarlyMaps, target: torch.Tensor, cases: np.ndarray) -> float | None:
    """Mean log loss on the images of these cases, each as it is."""
    images = np.flatnonzero(np.isin(early.case, cases))
    if not len(images):
        return None
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(images), 2 * CHUNK):
            at = images[start : start + 2 * CHUNK]
            margins = head(_pooled(network, head, early.maps[0, at]))
            total += float(_cross_entropy(margins, target[at].to(margins.device))) * len(at)
    return total / len(images)
