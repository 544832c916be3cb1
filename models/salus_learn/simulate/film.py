"""Draws one chest film: body, lungs, heart, spine, ribs, clavicles, vessels, opacities at known places, noise.

The film is a map of how much tissue a ray passes, so bright is dense. Anatomy is drawn in a frame in which the
image spans -1 to 1 both ways; x grows towards the patient's left (the viewer's right). DICOM is not made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE_PIXELS = 256
LARGEST_GREY = 4095
_AXIS = np.linspace(-1, 1, SIDE_PIXELS, dtype=np.float32)
_X, _Y = np.meshgrid(_AXIS, _AXIS)  # (256, 256) each
_FREQUENCY = np.hypot(*np.meshgrid(np.fft.rfftfreq(SIDE_PIXELS), np.fft.fftfreq(SIDE_PIXELS))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Opacity:
    """A round soft shadow: centre and radius in pixels of the film, `strength` as tissue added at its centre."""

    x: float
    y: float
    radius: float
    strength: float


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """What a film shows. `severity` 0 to 3; `heart_share` is heart width over chest width; `gain` of the site's detector."""

    severity: float
    heart_share: float
    bedside: bool
    overinflated: bool
    gain: float
    noise: float


@dataclass(frozen=True, slots=True)
class _Body:
    """This person's build and how they stood: shift, tilt and sizes in the frame of the image."""

    shift_x: float
    shift_y: float
    tilt: float
    width: float
    lung_bottom: float
    lung_top: float
    rib_count: float


def draw_film(plan: FilmPlan, rng: np.random.Generator) -> tuple[np.ndarray, list[Opacity]]:
    """(256, 256) uint16 in 0 to 4095, bright = dense, and the opacities planted in it (none below severity 0.15)."""
    body = _build(plan, rng)
    x = (_X - body.shift_x) * np.float32(np.cos(body.tilt)) + (_Y - body.shift_y) * np.float32(np.sin(body.tilt))
    y = (_Y - body.shift_y) * np.float32(np.cos(body.tilt)) - (_X - body.shift_x) * np.float32(np.sin(body.tilt))
    lungs = _lungs(x, y, body)
    tissue = _soft_tissue(x, y, body) - 0.62 * lungs
    tissue += _heart_and_vessels(x, y, lungs, plan, body, rng)
    tissue += _bones(x, y, body)
    opacities = _place(plan, body, rng)
    for opacity in opacities:
        tissue += _shadow(opacity, rng) * np.clip(lungs + 0.12, 0, 1)
    return _exposed(tissue, plan, rng), opacities


def _build(plan: FilmPlan, rng: np.random.Generator) -> _Body:
    wide, deep = rng.normal(0, 0.03), rng.normal(0, 0.035)
    breath = -0.10 if plan.bedside else 0.0  # sitting in bed: shallower breath, higher diaphragm
    breath += 0.09 if plan.overinflated else 0.0
    return _Body(
        shift_x=rng.normal(0, 0.025), shift_y=rng.normal(0.0, 0.025), tilt=rng.normal(0, 0.022), width=0.70 + wide,
        lung_bottom=0.52 + deep + breath, lung_top=-0.74 + rng.normal(0, 0.015), rib_count=9.5 + rng.normal(0, 0.4),
    )  # fmt: skip


def _edge(distance: np.ndarray, softness: float) -> np.ndarray:
    """1 inside (distance below 0), 0 outside, over a soft border."""
    return 1.0 / (1.0 + np.exp(np.clip(distance / softness, -30, 30)))


def _soft_tissue(x: np.ndarray, y: np.ndarray, body: _Body) -> np.ndarray:
    """Chest wall, shoulders, neck and the belly below the diaphragm, as tissue thickness about 0 to 1."""
    trunk = np.abs(x) - (body.width + 0.13 + 0.05 * y)
    shoulder = (np.abs(x) / 1.12) ** 3 - (y + 0.92) * 1.15
    neck = np.maximum(np.abs(x) - 0.24 - 0.05 * (y + 0.7), -y - 1.05)
    arms = np.maximum(-(np.abs(x) - body.width - 0.16 - 0.10 * y), shoulder)
    inside = _edge(np.maximum(trunk, shoulder), 0.02)
    outline = np.maximum(np.maximum(inside, _edge(neck, 0.02)), 0.75 * _edge(arms, 0.02))
    rounded = np.sqrt(np.clip(1.0 - (x / (body.width + 0.45)) ** 2, 0, 1))
    belly = _edge(body.lung_bottom + 0.02 - y, 0.05)
    return outline * (0.52 + 0.30 * rounded + 0.16 * belly)


def _lungs(x: np.ndarray, y: np.ndarray, body: _Body) -> np.ndarray:
    """(256, 256) 0 to 1: air, with rounded tops, a curved outer wall and domed diaphragms (the right one higher)."""
    height = (y - body.lung_top) / (body.lung_bottom - body.lung_top)  # 0 top, 1 bottom
    air = np.zeros_like(x)
    for side in (-1.0, 1.0):
        across = x * side
        outer = body.width * (0.60 + 0.40 * np.sqrt(np.clip(1 - (1 - np.clip(height, 0, 1)) ** 2.6, 0, 1)))
        inner = 0.10 + 0.05 * np.clip(height, 0, 1)
        middle, half = (outer + inner) / 2, (outer - inner) / 2
        dome = 0.055 * ((across - 0.42) / 0.3) ** 2 - (0.035 if side < 0 else 0.0)
        sides = np.abs(across - middle) - half
        top = body.lung_top + 0.20 * np.clip((across - 0.36) / 0.30, -1.4, 1.4) ** 2 - y
        bottom = y - (body.lung_bottom + dome)
        air += _edge(np.maximum(np.maximum(sides, top), bottom), 0.014)
    return np.clip(air, 0, 1)


def _heart_and_vessels(
    x: np.ndarray, y: np.ndarray, lungs: np.ndarray, plan: FilmPlan, body: _Body, rng: np.random.Generator
) -> np.ndarray:
    """Mediastinum, aortic knob, heart (wider with heart failure), hila and the vessels that branch from them."""
    half = plan.heart_share * body.width
    heart_y = body.lung_bottom - 0.27
    turned = (x - 0.13 - 0.25 * half) * 0.92 + (y - heart_y) * 0.39
    upright = (y - heart_y) * 0.92 - (x - 0.13 - 0.25 * half) * 0.39
    heart = _edge((np.hypot(turned / (half * 1.02), upright / (half * 0.80)) - 1) * half, 0.022)
    right_edge = _edge((np.hypot((x + 0.05) / (half * 0.62), (y - heart_y - 0.02) / 0.27) - 1) * half, 0.022)
    middle = _edge(np.abs(x - 0.02) - (0.125 + 0.02 * np.sin(3 * y)), 0.022) * _edge(-0.95 - y, 0.05)
    knob = _edge(np.hypot(x - 0.14, (y + 0.30) / 1.1) - 0.085, 0.018)
    shadow = 0.46 * np.maximum(np.maximum(heart, right_edge), np.maximum(0.82 * middle, 0.8 * knob))
    hila = sum(np.exp(-(((x - cx) / 0.085) ** 2 + ((y + 0.02) / 0.15) ** 2)) for cx in (-0.2, 0.24))
    radius = np.hypot(np.abs(x) - 0.15, y + 0.02)
    angle = np.arctan2(y + 0.02, np.abs(x) - 0.15)
    waves = sum(
        np.cos(order * angle + rng.uniform(0, 6.3) + turns * radius + np.sign(x) * rng.uniform(0, 3)) ** 8
        for order, turns in ((9, 2.0), (14, -3.0), (19, 4.0))
    )
    vessels = waves * np.exp(-radius / 0.26) * lungs
    return shadow * (0.55 + 0.45 * lungs) + 0.13 * hila * lungs + 0.085 * vessels


def _bones(x: np.ndarray, y: np.ndarray, body: _Body) -> np.ndarray:
    """Ribs behind (bright, falling outwards) and before (faint, rising outwards), clavicles, spine with its discs."""
    reach = np.clip(np.abs(x) / body.width, 0, 1.2)
    spacing = (body.lung_bottom - body.lung_top + 0.1) / body.rib_count
    cage = _edge(np.abs(x) - body.width * (1.04 - 0.42 * np.clip((-y - 0.40) / 0.45, 0, 1) ** 2), 0.025)
    cage = cage * _edge(body.lung_top - 0.03 - y, 0.02) * _edge(y - body.lung_bottom - 0.16, 0.04)
    behind = _stripes((y - body.lung_top - 0.02 - 0.20 * reach**2 + 0.10 * np.sin(reach * 2.6)) / spacing, 0.24)
    before = _stripes((y - body.lung_top - 0.18 + 0.34 * reach**1.5 - 0.30 * reach) / spacing / 1.15, 0.20)
    ribs = cage * (0.120 * behind * _edge(0.10 - np.abs(x), 0.03) + 0.045 * before * _edge(0.36 - np.abs(x), 0.06))
    rise = -0.64 - 0.10 * np.clip(np.abs(x) - 0.1, 0, 1) - 0.05 * np.sin(np.clip(np.abs(x) - 0.08, 0, 1) * 7)
    clavicle = _tube(y - rise, 0.030) * _edge(0.09 - np.abs(x), 0.02) * _edge(np.abs(x) - 0.70, 0.03)
    discs = 0.72 + 0.28 * np.cos(2 * np.pi * y / 0.118)
    spine = _edge(np.abs(x) - 0.085, 0.015) * (0.085 + 0.05 * discs)
    return ribs + 0.15 * clavicle + spine


def _tube(distance: np.ndarray, radius: float) -> np.ndarray:
    """A hollow bone seen from the side: brighter at its borders than in its middle."""
    along = distance / radius
    return np.exp(-(along**4)) * (0.72 + 0.4 * along**2)


def _stripes(phase: np.ndarray, half_width: float) -> np.ndarray:
    """Bones repeated once per whole number of `phase`."""
    return _tube(phase - np.round(phase), half_width)


def _place(plan: FilmPlan, body: _Body, rng: np.random.Generator) -> list[Opacity]:
    """One to four opacities inside the lung fields, larger, denser and more with severity."""
    if plan.severity < 0.15:
        return []
    count = 1 + int(rng.random() < plan.severity / 2) + int(plan.severity > 1.2) + int(plan.severity > 2.0)
    found = []
    for _ in range(count):
        side = -1.0 if rng.random() < 0.55 else 1.0
        along = 0.30 + 0.52 * rng.beta(2.2, 1.4)  # pneumonia likes the lower fields
        x = side * body.width * rng.uniform(0.45, 0.78) + body.shift_x
        y = body.lung_top + along * (body.lung_bottom - body.lung_top) + body.shift_y
        radius = 13.0 + 8.0 * min(plan.severity, 2.2) * rng.uniform(0.75, 1.2)
        strength = (0.10 + 0.20 * min(plan.severity, 2.0)) * rng.uniform(0.85, 1.15)
        found.append(Opacity(_pixel(x), _pixel(y), round(radius, 2), round(strength, 4)))
    return found


def _pixel(position: float) -> float:
    return round((position + 1) / 2 * (SIDE_PIXELS - 1), 2)


def _shadow(opacity: Opacity, rng: np.random.Generator) -> np.ndarray:
    """A soft, patchy disc; almost all of it lies within the radius."""
    columns, rows = (_X + 1) / 2 * (SIDE_PIXELS - 1), (_Y + 1) / 2 * (SIDE_PIXELS - 1)
    distance = np.hypot(columns - opacity.x, rows - opacity.y) / opacity.radius
    patchy = 1.0 + 0.45 * _cloud(rng, 0.035)
    return opacity.strength * np.exp(-((distance / 0.72) ** 3)) * np.clip(patchy, 0.3, 1.7)


def _cloud(rng: np.random.Generator, finest: float) -> np.ndarray:
    """Smooth noise of mean 0 and standard deviation 1; `finest` in cycles per pixel."""
    white = np.fft.rfft2(rng.standard_normal((SIDE_PIXELS, SIDE_PIXELS), dtype=np.float32))
    smooth = np.fft.irfft2(white * np.exp(-((_FREQUENCY / finest) ** 2)), s=(SIDE_PIXELS, SIDE_PIXELS))
    return (smooth / smooth.std()).astype(np.float32)


def _exposed(tissue: np.ndarray, plan: FilmPlan, rng: np.random.Generator) -> np.ndarray:
    """Blur, scatter, grain that is coarser where few photons arrive, the site's gain, 12 bits."""
    spectrum = np.fft.rfft2(tissue)
    sharp = np.fft.irfft2(spectrum * np.exp(-((_FREQUENCY / 0.30) ** 2)), s=tissue.shape)
    scatter = np.fft.irfft2(spectrum * np.exp(-((_FREQUENCY / 0.02) ** 2)), s=tissue.shape)
    dense = 0.86 * sharp + 0.14 * scatter + 0.012 * _cloud(rng, 0.06)
    grain = plan.noise * (0.6 + 0.8 * np.clip(dense, 0, 1.4)) * rng.standard_normal(tissue.shape, dtype=np.float32)
    grey = 240 + 2550 * plan.gain * (np.clip(dense, 0, 1.5) + grain)
    return np.clip(np.round(grey), 0, LARGEST_GREY).astype(np.uint16)  # (256, 256)
