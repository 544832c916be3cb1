"""Which changes of an image may stand for another image of the same patient, by modality, and which may not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from salus_learn.contracts import ImageSpec
from salus_learn.tasks.loader import HEART, ONE_SIDED


@dataclass(frozen=True, slots=True)
class Policy:
    """Largest changes: rotation in degrees, scale and shift as shares of the side, contrast as a share of itself,
    brightness as a share of half the range from black to white."""

    rotation_deg: float
    scale: float
    shift: float
    contrast: float
    brightness: float
    upside_down: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What is done to each of n images, in this order. move (n, 2): where the middle is looked for, in half sides right
    and down; turn_rad (n,): anticlockwise; size (n,): the share of the side that is shown; swapped and upside_down (n,):
    -1 where it is done, else 1; contrast (n,): a factor; brightness (n,): added to pixels from -1 to 1."""

    move: torch.Tensor
    turn_rad: torch.Tensor
    size: torch.Tensor
    swapped: torch.Tensor
    upside_down: torch.Tensor
    contrast: torch.Tensor
    brightness: torch.Tensor

    @property
    def places(self) -> torch.Tensor:
        """(n, 2, 3): the affine map from the shown picture to the original, both from -1 to 1."""
        cosine, sine = torch.cos(self.turn_rad) * self.size, torch.sin(self.turn_rad) * self.size
        across = torch.stack([cosine, sine], 1) * self.swapped[:, None]
        down = torch.stack([-sine, cosine], 1) * self.upside_down[:, None]
        return torch.stack([across, down, self.move], 2)


_RADIOGRAPH = Policy(7, 0.10, 0.06, 0.15, 0.10)
POLICIES = {
    "CR": _RADIOGRAPH,
    "DX": _RADIOGRAPH,
    "MG": Policy(10, 0.10, 0.06, 0.15, 0.10),
    "MR": Policy(10, 0.12, 0.08, 0.20, 0.15),
    "CT": Policy(10, 0.12, 0.08, 0.10, 0.05),
    "US": Policy(8, 0.10, 0.08, 0.15, 0.10),
    "OP": Policy(15, 0.10, 0.04, 0.15, 0.10),
    "XC": Policy(45, 0.15, 0.06, 0.15, 0.10, upside_down=True),
}
CAUTIOUS = Policy(7, 0.10, 0.06, 0.10, 0.10)


def policy_of(spec: ImageSpec) -> Policy:
    """The policy of an image slot's modality; a cautious one for a modality not listed."""
    return POLICIES.get(spec.modality.upper(), CAUTIOUS)


def may_mirror(spec: ImageSpec) -> bool:
    """Whether left and right may be swapped: where the task file says so, and never where the side is a finding."""
    return spec.flips and spec.body_part.upper() not in ONE_SIDED


def mirrors_of(spec: ImageSpec) -> tuple[tuple[int, ...], ...]:
    """The mirrors that show the same patient, as axes of (3, H, W): those with which an image is averaged when it is read."""
    sides = ((2,),) if may_mirror(spec) else ()
    if not policy_of(spec).upside_down:
        return sides
    return (*sides, (1,), *(((1, 2),) if sides else ()))


def draw_changes(spec: ImageSpec, n: int, generator: torch.Generator) -> Changes:
    """Random changes of n images by the slot's policy; the same generator gives the same."""
    policy = policy_of(spec)

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator) * 2 - 1

    turn_rad, size = uniform(n) * math.radians(policy.rotation_deg), 1 + uniform(n) * policy.scale
    move = uniform(n, 2) * policy.shift * 2  # pictures run from -1 to 1
    swapped = torch.sign(uniform(n)) if may_mirror(spec) else torch.ones(n)
    upside_down = torch.sign(uniform(n)) if policy.upside_down else torch.ones(n)
    contrast, brightness = 1 + uniform(n) * policy.contrast, uniform(n) * policy.brightness
    return Changes(move, turn_rad, size, swapped, upside_down, contrast, brightness)


def changed(pixels: torch.Tensor, changes: Changes) -> torch.Tensor:
    """Each image (n, 3, H, W) in [-1, 1] with its changes. Beyond the border its last pixels are repeated."""
    grid = functional.affine_grid(changes.places, list(pixels.shape), align_corners=False)
    moved = functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    contrast, brightness = changes.contrast[:, None, None, None], changes.brightness[:, None, None, None]
    return (moved * contrast + brightness).clamp(-1, 1)  # (n, 3, H, W)


def augmented(pixels: torch.Tensor, spec: ImageSpec, generator: torch.Generator) -> torch.Tensor:
    """One random variant of each image (B, 3, H, W) in [-1, 1], by the slot's policy; the same generator gives the same."""
    return changed(pixels, draw_changes(spec, len(pixels), generator))


@dataclass(frozen=True, slots=True)
class Rule:
    """One change in words: how far it goes, "" where it is never done, and why it may be done or may not."""

    what: str
    how_far: str
    why: str


_LIVER = "the liver would lie on the left, and situs inversus is a finding, not noise"
_DENSE = "bright means dense; inverted, air would look like bone"
_SHADES = {
    **dict.fromkeys(("CR", "DX", "MG", "CT"), _DENSE),
    "US": "bright means echo; inverted, fluid would look solid",
    "MR": "bright means signal, which is what the sequence shows",
}
_COLOURS = {"OP": "haemorrhage and exudate differ by colour", "XC": "pigment is the finding"}
_UPRIGHT = {
    "US": "the probe is always at the top, and shadows fall down from it",
    "MR": "slices are always shown the same way up",
    "CT": "slices are always shown the same way up",
    "MG": "the muscle lies where the view puts it",
    "OP": "the vessels above and below the macula are not alike",
}
_STANDING = "fluid levels and organs lie as gravity puts them"
_OF_ALL = (
    Rule("cropping to a part", "", "what is cut away may be what the answer is about"),
    Rule("blanking out a patch", "", "the patch may hide what the answer is about"),
    Rule("stretching one way", "", "shape and proportion are findings"),
    Rule("mixing two people's pictures", "", "nobody looks like that, and its answer would be made up"),
)


def rules_of(spec: ImageSpec) -> tuple[Rule, ...]:
    """What is done to pictures of this slot and how far, then what is never done, each with its reason."""
    policy = policy_of(spec)
    done = [
        Rule("turning", f"up to {policy.rotation_deg:g}° either way", "nobody lies or stands, and no probe is held, quite straight"),
        Rule("sizing", f"{100 / (1 + policy.scale):.0f} to {100 / (1 - policy.scale):.0f} %", "distance and build differ"),
        Rule("moving", f"up to {100 * policy.shift:g} % of the side", "nobody is centred quite alike"),
        Rule("contrast", f"up to {100 * policy.contrast:g} % more or less", "exposure and machines differ"),
        Rule("light", f"up to {50 * policy.brightness:g} % of black to white", "exposure and machines differ"),
    ]  # fmt: skip
    never = [_sides(spec), _upside_down(spec, policy), *_shades(spec.modality.upper()), *_OF_ALL]
    return (*done, *(rule for rule in never if rule.how_far), *(rule for rule in never if not rule.how_far))


def _sides(spec: ImageSpec) -> Rule:
    if may_mirror(spec):
        return Rule("left and right swapped", "half of the variants", "the task file says that the sides are alike")
    if spec.body_part.upper() in ONE_SIDED:
        return Rule("left and right swapped", "", _LIVER if spec.body_part.upper() == "ABDOMEN" else HEART)
    return Rule("left and right swapped", "", "the task file does not say that the sides are alike")


def _upside_down(spec: ImageSpec, policy: Policy) -> Rule:
    if policy.upside_down:
        return Rule("upside down", "half of the variants", "a photograph of skin has no upper side")
    return Rule("upside down", "", _UPRIGHT.get(spec.modality.upper(), _STANDING))


def _shades(modality: str) -> list[Rule]:
    """Shades or colours, whichever the picture has."""
    if modality in _COLOURS:
        return [Rule("changing colours", "", _COLOURS[modality])]
    return [Rule("inverting shades", "", _SHADES.get(modality, "bright and dark mean different things"))]
