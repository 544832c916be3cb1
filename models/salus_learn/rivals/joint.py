"""Joint fusion: one small gated network on record and image together.

The gate is the gated multimodal unit of Arevalo et al. (2017); parts are hidden at random while it learns, so that it
copes without one (ModDrop, Neverova et al. 2016). Five networks are averaged, each stopped where another fifth of the
training people says so.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold
from torch import nn
from torch.nn import functional

from salus_learn.features.target import fewest_people
from salus_learn.imaging.directions import leading_directions
from salus_learn.rivals.evidence import Evidence

HIDDEN = 16
COMPONENTS = 32
NETWORKS = 5
PASSES = 200
PATIENCE = 20
STEPS_A_PASS = 8
RATE = 4e-3
DECAY = 0.05
HIDE_PART = 0.3  # of people with both parts, how often one is hidden in a step
HIDE_UNIT = 0.3


@dataclass(frozen=True, slots=True)
class Scale:
    """What was learnt of the columns (d,) and of the embedding (k,) on the training people: means, spreads, components."""

    fill: np.ndarray
    centre: np.ndarray
    spread: np.ndarray
    image_centre: np.ndarray
    image_spread: np.ndarray
    basis: np.ndarray

    def inputs(self, evidence: Evidence) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Record (n, 2 d): standardised columns, then what is missing; image (n, components); present (n, 2), 0 or 1."""
        missing = np.isnan(evidence.columns)
        columns = (np.where(missing, self.fill, evidence.columns) - self.centre) / self.spread
        image = np.nan_to_num((evidence.embedding - self.image_centre) / self.image_spread) @ self.basis.T
        present = np.column_stack([~missing.all(axis=1), np.isfinite(evidence.embedding).any(axis=1)])
        parts = (np.hstack([columns, missing]), image, present)
        record, images, there = (
            torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in parts
        )
        return record, images, there


class Gated(nn.Module):
    """Margin = w . (z * record + (1 - z) * image) + b, where z (0 to 1, per unit) looks at both; a missing part weighs nothing."""

    def __init__(self, record: int, image: int) -> None:
        super().__init__()
        self.record, self.image = nn.Linear(record, HIDDEN), nn.Linear(image, HIDDEN)
        self.gate = nn.Linear(record + image + 2, HIDDEN)
        self.out = nn.Linear(HIDDEN, 1)

    def forward(self, record: torch.Tensor, image: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """(n,) margins in log odds."""
        has_record, has_image = present[:, :1], present[:, 1:]
        seen = torch.cat([record * has_record, image * has_image, present], dim=1)
        z = torch.sigmoid(self.gate(seen))
        of_record, of_image = z * has_record, (1 - z) * has_image
        both = (of_record + of_image).clamp(min=1e-6)
        fused = (
            of_record * torch.tanh(self.record(record)) + of_image * torch.tanh(self.image(image))
        ) / both
        return self.out(functional.dropout(fused, HIDE_UNIT, self.training)).squeeze(1)


@dataclass(frozen=True, slots=True)
class Joint:
    """The fitted networks and the scale they were taught on."""

    scale: Scale
    networks: tuple[Gated, ...]

    def margins(self, evidence: Evidence) -> np.ndarray:
        """Margins (n,) in log odds, averaged over the networks."""
        inputs = self.scale.inputs(evidence)
        with torch.inference_mode(), _one_thread():
            return torch.stack([network(*inputs) for network in self.networks]).mean(dim=0).double().numpy()


def fit_joint(evidence: Evidence, y: np.ndarray, persons: np.ndarray, seed: int) -> Joint:
    """Fit on n cases of which at least two have, and two lack, the outcome. Runs on the CPU."""
    scale = _scale(evidence)
    inputs, target = scale.inputs(evidence), torch.from_numpy(y.astype(np.float32))
    folds = min(NETWORKS, fewest_people(y, persons))
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    networks = []
    # the caller's own drawing goes on as if nothing had been drawn here
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(seed)
        for taught, watched in split.split(y, y, persons):
            networks.append(_taught(inputs, target, torch.from_numpy(taught), torch.from_numpy(watched)))
    return Joint(scale, tuple(networks))


@contextmanager
def _one_thread() -> Iterator[None]:
    """For a network this small a second thread costs more than it does, and on a busy machine many times as much."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _scale(evidence: Evidence) -> Scale:
    """Means, spreads and principal components of these cases."""
    x = evidence.columns
    fill = np.array([np.nanmedian(c) if np.isfinite(c).any() else 0.0 for c in x.T])
    filled = np.where(np.isnan(x), fill, x)
    spread = filled.std(axis=0)
    shown = evidence.embedding[np.isfinite(evidence.embedding).any(axis=1)]
    centre = np.nan_to_num(np.nanmean(shown, axis=0))
    wide = np.nan_to_num(np.nanstd(shown, axis=0)) + 1e-3
    singular, basis = leading_directions(np.nan_to_num((shown - centre) / wide), min(COMPONENTS, max(len(shown) - 1, 1)))
    # one scale for all components, so that those which vary most speak loudest, as in the image judge
    unit = float((singular / np.sqrt(len(shown))).mean()) or 1.0
    return Scale(
        fill, filled.mean(axis=0), np.where(spread > 1e-9, spread, 1.0), centre, wide, basis / unit
    )


def _taught(
    inputs: tuple[torch.Tensor, ...], target: torch.Tensor, taught: torch.Tensor, watched: torch.Tensor
) -> Gated:
    """One network, as it was when the watched people's loss was least."""
    network = Gated(inputs[0].shape[1], inputs[1].shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    batch = max(16, -(-len(taught) // STEPS_A_PASS))
    least, kept, waited = float("inf"), copy.deepcopy(network), 0
    for _ in range(PASSES):
        network.train()
        for at in taught[torch.randperm(len(taught))].split(batch):
            record, image, present = (part[at] for part in inputs)
            loss = functional.binary_cross_entropy_with_logits(
                network(record, image, _hidden(present)), target[at]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        network.eval()
        with torch.inference_mode():
            seen = network(*(part[watched] for part in inputs))
            now = float(functional.binary_cross_entropy_with_logits(seen, target[watched]))
        if now < least - 1e-4:
            least, kept, waited = now, copy.deepcopy(network), 0
        else:
            waited += 1
            if waited > PATIENCE:
                break
    return kept.eval()


def _hidden(present: torch.Tensor) -> torch.Tensor:
    """Who is shown with which parts in this step: of people with both, one part is hidden at random, never both."""
    chance = torch.rand(len(present))
    hide = torch.stack([chance < HIDE_PART / 2, (chance >= HIDE_PART / 2) & (chance < HIDE_PART)], dim=1)
    both = present.all(dim=1, keepdim=True)
    return present * ~(hide & both)
