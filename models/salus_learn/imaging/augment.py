"""Which changes of an image may stand for another image of the same patient, by modality, and which may not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from salus_learn.contracts import ImageSpec
from salus_learn.tasks.loader import HEART


@dataclass(frozen=True, slots=True)
class Policy:
    """Largest changes: rotation in degrees, scale and shift as shares of the side, contrast and brightness as shares
    of the range. `forbidden` names what is never done to this modality, each with its reason."""

    rotation_deg: float
    scale: float
    shift: float
    contrast: float
    brightness: float
    upside_down: bool = False
    forbidden: tuple[tuple[str, str], ...] = ()


_HEART = ("left-right flip of a chest", HEART)
_STANDING = ("upside-down flip", "fluid levels and organs lie as gravity puts them")
_SHADES = ("inverted shades", "bright means dense; inverted, air would look like bone")
_RADIOGRAPH = Policy(7, 0.10, 0.06, 0.15, 0.10, forbidden=(_HEART, _STANDING, _SHADES))
POLICIES = {
    "CR": _RADIOGRAPH,
    "DX": _RADIOGRAPH,
    "MG": Policy(10, 0.10, 0.06, 0.15, 0.10, forbidden=(_SHADES,)),
    "MR": Policy(10, 0.12, 0.08, 0.20, 0.15, forbidden=(("upside-down flip", "slices are always shown nose up"),)),
    "CT": Policy(10, 0.12, 0.08, 0.10, 0.05, forbidden=(("upside-down flip", "slices are always shown nose up"),)),
    "US": Policy(8, 0.10, 0.08, 0.15, 0.10, forbidden=(("upside-down flip", "the probe is always at the top, shadows fall down"),)),
    "OP": Policy(15, 0.10, 0.04, 0.15, 0.10, forbidden=(("colour change", "haemorrhage and exudate differ by colour"),)),
    "XC": Policy(45, 0.15, 0.06, 0.15, 0.10, upside_down=True, forbidden=(("colour change", "pigment is the finding"),)),
}
CAUTIOUS = Policy(7, 0.10, 0.06, 0.10, 0.10)


def policy_of(spec: ImageSpec) -> Policy:
    """The policy of an image slot's modality; a cautious one for a modality not listed."""
    return POLICIES.get(spec.modality.upper(), CAUTIOUS)


def augmented(pixels: torch.Tensor, spec: ImageSpec, generator: torch.Generator) -> torch.Tensor:
    """One random variant of each image (B, 3, H, W) in [-1, 1], by the slot's policy; the same generator gives the same."""
    policy, n = policy_of(spec), len(pixels)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) * 2 - 1

    turn = uniform(n) * math.radians(policy.rotation_deg)
    size = 1 + uniform(n) * policy.scale
    move = uniform(n, 2) * policy.shift * 2  # the grid runs from -1 to 1
    cosine, sine = torch.cos(turn) * size, torch.sin(turn) * size
    grid = torch.stack(
        [torch.stack([cosine, -sine, move[:, 0]], 1), torch.stack([sine, cosine, move[:, 1]], 1)], 1
    )  # (B, 2, 3)
    if spec.flips:
        grid[:, :, 0] *= torch.sign(uniform(n))[:, None]
    if policy.upside_down:
        grid[:, :, 1] *= torch.sign(uniform(n))[:, None]
    places = functional.affine_grid(grid, list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, places, padding_mode="border", align_corners=False)
    contrast, brightness = 1 + uniform(n, 1, 1, 1) * policy.contrast, uniform(n, 1, 1, 1) * policy.brightness
    return (moved * contrast + brightness).clamp(-1, 1)  # (B, 3, H, W)
