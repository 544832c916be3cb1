"""Draws one picture per kind of image, to show on reports what is done to pictures. No pixel of any patient is in it.

Every picture has something on one side only, so that a swap of the sides can be seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from salus_learn.contracts import ImageSpec
from salus_learn.imaging.network import INPUT_SIDE
from salus_learn.simulate.film import LARGEST_GREY, FilmPlan, draw_film

_AXIS = np.linspace(-1, 1, INPUT_SIDE)
_X, _Y = np.meshgrid(_AXIS, _AXIS)  # (224, 224) each, y downwards
_FILM = FilmPlan(severity=1.2, heart_share=0.5, bedside=False, overinflated=False, gain=1.0, noise=0.0)


def phantom_of(spec: ImageSpec) -> tuple[np.ndarray, str]:
    """(224, 224, 3) uint8 and what it shows, by the slot's modality. Always the same picture for the same modality."""
    draw, words = _DRAWN.get(spec.modality.upper(), (_plain, "test picture"))
    picture = np.clip(np.round(draw()), 0, 255).astype(np.uint8)
    return (picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)), words


def _spot(x: float, y: float, wide: float, high: float, softness: float = 0.06) -> np.ndarray:
    """(224, 224) 1 inside an ellipse, 0 outside, with a soft border."""
    away = np.hypot((_X - x) / wide, (_Y - y) / high)
    return 1 / (1 + np.exp(np.clip((away - 1) / softness, -30, 30)))


def _grain(coarse: int) -> np.ndarray:
    """(224, 224) the same smooth noise each time, of mean 0 and about 1 high; `coarse` in pixels."""
    small = np.random.default_rng(1).normal(size=(INPUT_SIDE // coarse,) * 2).astype(np.float32)
    return np.asarray(
        Image.fromarray(small).resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BICUBIC), dtype=np.float64
    )


def _chest() -> np.ndarray:
    film, _ = draw_film(_FILM, np.random.default_rng(4))
    grey = Image.fromarray((film.astype(np.float32) / LARGEST_GREY * 255).astype(np.uint8))
    return np.asarray(grey.resize((INPUT_SIDE, INPUT_SIDE), Image.Resampling.BILINEAR), dtype=np.float64)


def _ultrasound() -> np.ndarray:
    lesion = _spot(-0.25, 0.05, 0.32, 0.24)
    shadow = _spot(-0.25, 0.75, 0.22, 0.6, 0.15) * (_Y > 0.05)
    layers = 40 * np.exp(-(((_Y + 0.75) / 0.05) ** 2)) + 25 * np.exp(-(((_Y - 0.55 - 0.05 * _X) / 0.04) ** 2))
    return (105 + 22 * _grain(7) + layers) * (1 - 0.8 * lesion) * (1 - 0.5 * shadow)


def _slice() -> np.ndarray:
    skull, brain = _spot(0, 0, 0.78, 0.92, 0.01), _spot(0, 0, 0.70, 0.84, 0.01)
    ventricles = _spot(-0.14, -0.05, 0.09, 0.30) + _spot(0.14, -0.05, 0.09, 0.30)
    return (
        210 * (skull - brain)
        + brain * (115 + 8 * _grain(8))
        - 80 * ventricles
        + 90 * _spot(0.38, -0.3, 0.13, 0.11)
    )


def _breast() -> np.ndarray:
    breast = _spot(-1.0, 0.0, 1.45, 0.85, 0.03)
    return breast * (
        90 + 30 * _spot(-0.5, 0, 0.7, 0.5, 0.4) + 12 * _grain(7) + 90 * _spot(-0.15, 0.2, 0.13, 0.11)
    )


def _fundus() -> np.ndarray:
    eye = _spot(0, 0, 0.95, 0.95, 0.01)
    disc = _spot(0.45, 0, 0.13, 0.15)
    vessels = sum(
        np.exp(-(((_Y - side * 0.55 * np.sqrt(np.clip(0.45 - _X, 0, 2))) / 0.025) ** 2)) * (_X < 0.45)
        for side in (-1, 1)
    )
    dark = 0.55 * vessels + 0.5 * _spot(-0.2, 0, 0.16, 0.16, 0.5) + 0.7 * _spot(-0.4, 0.45, 0.05, 0.04)
    red, green, blue = 205 - 60 * dark + 45 * disc, 105 - 75 * dark + 110 * disc, 45 - 30 * dark + 70 * disc
    return np.stack([red, green, blue], axis=2) * eye[..., None]


def _skin() -> np.ndarray:
    edge = 1 + 0.14 * np.cos(3 * np.arctan2(_Y, _X + 0.1) + 0.6)
    mole = _spot(-0.1, 0, 0.42, 0.34) * np.clip(edge, 0, 1) + 0.5 * _spot(0.1, -0.12, 0.24, 0.2)
    skin = np.array([226.0, 178.0, 152.0]) + 7 * _grain(6)[..., None]
    return skin - np.clip(mole, 0, 1.2)[..., None] * np.array([120.0, 115.0, 95.0])


def _plain() -> np.ndarray:
    return 60 + 60 * _spot(0, 0, 0.8, 0.8, 0.02) + 90 * _spot(-0.3, -0.35, 0.2, 0.2, 0.02) + 6 * _grain(8)


_DRAWN: dict[str, tuple[Callable[[], np.ndarray], str]] = {
    "CR": (_chest, "chest film"), "DX": (_chest, "chest film"), "MG": (_breast, "mammogram"),
    "US": (_ultrasound, "ultrasound picture with a lesion"), "MR": (_slice, "slice of a head"),
    "CT": (_slice, "slice of a head"), "OP": (_fundus, "picture of the back of an eye"),
    "XC": (_skin, "photograph of a mole"),
}  # fmt: skip
