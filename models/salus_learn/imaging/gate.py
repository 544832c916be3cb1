"""The gate: is this my kind of image at all? A fundus photograph offered to the chest model, a blank, turned, inverted or cropped film.

It looks at the maps of block 10, which tuning never changes, averaged over the four quarters of the image, and at a tiny
colour copy: kind, position and shades show there. Two questions: how far from the training images (robust to direction: along their main components and
outside them), and does it look more like one of their own spoiled copies than like them. Both thresholds come from
training images that did not fit the gate, so that one or two good images in a hundred are flagged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.imaging.augment import policy_of
from salus_learn.imaging.directions import leading_directions
from salus_learn.imaging.network import MID_CHANNELS
from salus_learn.imaging.prepare import prepared

COMPONENTS = 48
FLAGGED_SHARE = 0.01
MOST_IMAGES = 300
BLANK_SPREAD = 4.0 / 128.0  # four grey levels, in the encoder's scale
TINY = 4
_AS_IT_IS = "as it is"
_ALL = {
    "turned a quarter to the left": lambda x: np.rot90(x, 1, (1, 2)),
    "turned a quarter to the right": lambda x: np.rot90(x, 3, (1, 2)),
    "upside down": lambda x: x[:, ::-1, ::-1],
    "with inverted shades": lambda x: -x,
    "cropped": lambda x: _cropped(x),
}  # fmt: skip
Spoil = Callable[[np.ndarray], np.ndarray]


def _cropped(pixels: np.ndarray) -> np.ndarray:
    """The upper left 60 % of the image, blown up."""
    side = pixels.shape[1]
    at = (np.arange(side) * 0.6).astype(int)
    return pixels[:, at][:, :, at]


def spoilers(spec: ImageSpec) -> dict[str, Spoil]:
    """The ways an image of this slot can be spoiled. Where turning changes nothing it is no fault."""
    turned = {"turned a quarter to the left", "turned a quarter to the right", "upside down"}
    if policy_of(spec).rotation_deg >= 45 or spec.region_column:
        return {name: spoil for name, spoil in _ALL.items() if name not in turned | {"cropped"}}
    return dict(_ALL)


def gate_features(cells: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """(496,) means of block 10's channels over the four quarters, from an image's cells (c², C), and of its colours over
    a 4 x 4 grid, from its prepared pixels (3, H, W) in [-1, 1]."""
    side = math.isqrt(len(cells))
    grid = cells[:, :MID_CHANNELS].reshape(side, side, MID_CHANNELS).astype(np.float64)
    halves = (slice(0, (side + 1) // 2), slice(side // 2, None))  # of an odd side both have the middle row
    quarters = [grid[rows, columns] for rows in halves for columns in halves]
    step = pixels.shape[1] // TINY
    tiny = pixels.astype(np.float64).reshape(3, TINY, step, TINY, step).mean(axis=(2, 4))  # (3, 4, 4)
    return np.concatenate([*(quarter.mean(axis=(0, 1)) for quarter in quarters), tiny.ravel()])


@dataclass(frozen=True, slots=True)
class Gate:
    """One slot's gate. centre, scale (496,); basis (K, 496); spread (K,); rest: root mean square outside the basis;
    weight (L, K + 1), bias (L,) of the look-alike model over `names`, the first being "as it is"."""

    slot: str
    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    basis: np.ndarray
    spread: np.ndarray
    rest: float
    far_above: float
    weight: np.ndarray
    bias: np.ndarray
    own_below: float

    def why(self, features: np.ndarray, spread_of_pixels: float) -> str:
        """A sentence when the image should not be judged, else nothing. features (496,)."""
        if spread_of_pixels < BLANK_SPREAD:
            return "The image is blank."
        along, distance = self._place(features[None])
        if distance[0] > self.far_above:
            return "The image is not the kind of image the model was trained on, or it is turned, cropped or inverted."
        chances = _softmax(along @ self.weight.T + self.bias)[0]
        if chances[0] < self.own_below:
            return f"The image looks {self.names[int(chances[1:].argmax()) + 1]}."
        return ""

    def _place(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised components (n, K) and root mean square distance (n,), the part outside them included."""
        z = (features - self.centre) / self.scale
        along = (z @ self.basis.T) / self.spread
        outside = np.sqrt(((z - (along * self.spread) @ self.basis) ** 2).mean(axis=1)) / self.rest
        return along, np.sqrt((along**2).mean(axis=1) + outside**2)

    def to_file(self, path: Path) -> None:
        """Write as safetensors."""
        arrays = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float64) for name in _ARRAYS}
        arrays["scalars"] = np.array([self.rest, self.far_above, self.own_below])
        save_file(arrays, path)

    @classmethod
    def from_file(cls, path: Path, spec: ImageSpec) -> Gate:
        """Read what `to_file` wrote; the slot's own spoilers give the names."""
        arrays = load_file(path)
        rest, far, own = (float(value) for value in arrays.pop("scalars"))
        names = (_AS_IT_IS, *spoilers(spec))
        return cls(slot=spec.name, names=names, rest=rest, far_above=far, own_below=own, **arrays)


_ARRAYS = ("centre", "scale", "basis", "spread", "weight", "bias")


def fit_gate(
    images: Sequence[SnapshotImage], spec: ImageSpec, run: Callable[[np.ndarray], np.ndarray], *, seed: int
) -> Gate | None:
    """Fit on up to 300 training images of one slot; None under 40, where no threshold would hold.

    `run` is the served encoder (B, 3, S, S) -> (B, C, c, c). Two thirds fit the gate, one third sets its thresholds.
    """
    if len(images) < 40:
        return None
    order = np.random.default_rng(seed).permutation(len(images))[:MOST_IMAGES]
    pixels = np.stack([prepared(images[at], spec)[0] for at in order])
    copies = [_features(pixels, run)] + [
        _features(np.stack([np.ascontiguousarray(spoil(one)) for one in pixels]), run) for spoil in spoilers(spec).values()
    ]  # fmt: skip
    fitting = len(order) * 2 // 3
    return _fit(spec, [copy[:fitting] for copy in copies], copies[0][fitting:])


def _features(pixels: np.ndarray, run: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Gate features (n, 496), the encoder in chunks."""
    rows = []
    for start in range(0, len(pixels), 16):
        chunk = pixels[start : start + 16]
        rows += [gate_features(one.reshape(one.shape[0], -1).T, shown) for one, shown in zip(run(chunk), chunk, strict=True)]
    return np.array(rows)


def _fit(spec: ImageSpec, copies: list[np.ndarray], held: np.ndarray) -> Gate:
    """Distance from the unspoiled images; a look-alike model over all copies; thresholds from the held ones."""
    own = copies[0]
    centre, scale = own.mean(axis=0), own.std(axis=0) + 1e-3
    z = (own - centre) / scale
    singular, basis = leading_directions(z, min(COMPONENTS, len(own) // 3))
    spread = singular / np.sqrt(len(own)) + 1e-9
    rest = float(np.sqrt(((z - z @ basis.T @ basis) ** 2).mean())) + 1e-9
    names = (_AS_IT_IS, *spoilers(spec))
    bare = Gate(spec.name, names, centre, scale, basis, spread, rest, np.inf, np.zeros(0), np.zeros(0), 0.0)
    along = np.concatenate([bare._place(copy)[0] for copy in copies])
    labels = np.repeat(np.arange(len(copies)), [len(copy) for copy in copies])
    model = LogisticRegression(C=1.0, max_iter=500).fit(along, labels)
    weight, bias = model.coef_, model.intercept_
    if len(names) == 2:  # scikit-learn keeps one row for two classes
        weight, bias = np.vstack([-weight[0], weight[0]]) / 2, np.array([-bias[0], bias[0]]) / 2
    held_along, held_far = bare._place(held)
    chances = _softmax(held_along @ weight.T + bias)[:, 0]
    return Gate(
        spec.name, names, centre, scale, basis, spread, rest, float(np.quantile(held_far, 1 - FLAGGED_SHARE / 2) * 1.2),
        weight, bias, float(np.quantile(chances, FLAGGED_SHARE)),
    )  # fmt: skip


def _softmax(margins: np.ndarray) -> np.ndarray:
    grown = np.exp(margins - margins.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)
