"""What a poor image does to the risk: eight faults at two strengths, made on the film itself, before anything reads it;
and where something is marked on films, what another mark does.

After Hendrycks and Dietterich (2019), Benchmarking neural network robustness to common corruptions. What the gate stops
is counted and then left out: a clinician sees no risk there.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from salus_learn.contracts import ImageSpec, PatientSnapshot, RiskResult, RiskTask, SnapshotImage
from salus_learn.imaging.augment import mirrors_of
from salus_learn.imaging.embed import Report, embed
from salus_learn.imaging.encoder import ServedEncoder
from salus_learn.imaging.prepare import Box
from salus_learn.stress.faults import Fault
from salus_learn.stress.films import Light, by_channel, changed, cut, looked_at, reduced
from salus_learn.stress.held_out import (
    HeldOut,
    abstains,
    auroc_cell,
    can_be_ranked,
    difference_cell,
    drawn,
    is_stopped,
    points_cell,
    risks_of,
    share_cell,
    uses_image,
)
from salus_learn.stress.marks import MARK_FAULTS, with_measures

MOST_PEOPLE = 200
TOO_FEW = (
    "Of the people in whose risk an image takes part, fewer than two are known to have the outcome at the horizon, or fewer than "
    "two not to have it, so there is no AUROC."
)
COLUMNS = [
    "fault", "how strong", "stopped at the gate", "AUROC, if not stopped", "change of AUROC", "mean shift of risk, points",
    "falls on the other side of the threshold", "then keeps its answer to itself", "gives an answer, on the other side",
]  # fmt: skip


def _noise(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    return changed(image, lambda light: light + rng.normal(0, strength, light.shape).astype(np.float32))


def _blur(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    return changed(image, lambda light: blurred(light, strength * (box[2] - box[0])))


def blurred(light: Light, radius_px: float) -> Light:
    """Gaussian blur of that standard deviation in pixels; colours stay apart."""
    return gaussian_filter(light, (radius_px, radius_px, 0)[: light.ndim], truncate=3.0)


def _light(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    return changed(image, lambda light: np.clip(light, 0, 1) * strength)


def _contrast(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    return changed(image, lambda light: light.mean() + (light - light.mean()) * strength)


def _jpeg(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    return changed(image, lambda light: _through_jpeg(light, int(strength)))


def _through_jpeg(light: Light, quality: int) -> Light:
    stored = io.BytesIO()
    Image.fromarray(np.clip(np.rint(light * 255), 0, 255).astype(np.uint8)).save(
        stored, "JPEG", quality=quality
    )
    return np.asarray(Image.open(stored), dtype=np.float32) / 255


def _turn(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    """Turned about the middle of what the model looks at, to one side or the other; corners are as dark as the darkest."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    angle = strength * (1 if rng.random() < 0.5 else -1)

    def turned(one: Image.Image) -> Image.Image:
        return one.rotate(
            angle, Image.Resampling.BILINEAR, center=middle, fillcolor=float(np.asarray(one).min())
        )

    return changed(image, lambda light: by_channel(light, turned))


def _crop(image: SnapshotImage, box: Box, strength: float, rng: np.random.Generator) -> SnapshotImage:
    """The film ends earlier on every edge: of the whole film, or of the square around a marked region."""
    height, width = np.asarray(image.pixels).shape[:2]
    left, top, right, bottom = box if image.region is not None else (0, 0, width, height)
    across, down = round(strength * (right - left)), round(strength * (bottom - top))
    return cut(image, (left + across, top + down, right - across, bottom - down))


FAULTS = (
    Fault("noise", _noise, (("5 % of the grey scale", 0.05), ("12 % of the grey scale", 0.12))),
    Fault("blur", _blur, (("over 0.5 % of the side", 0.005), ("over 1.5 % of the side", 0.015))),
    Fault("darker", _light, (("75 % of the light", 0.75), ("50 % of the light", 0.5))),
    Fault("brighter", _light, (("130 % of the light", 1.3), ("160 % of the light", 1.6))),
    Fault("low contrast", _contrast, (("60 % of the contrast", 0.6), ("35 % of the contrast", 0.35))),
    Fault("JPEG artefacts", _jpeg, (("quality 25", 25), ("quality 8", 8))),
    Fault("small rotation", _turn, (("5 degrees", 5), ("10 degrees", 10))),
    Fault("border cut off", _crop, (("5 % of every edge", 0.05), ("12 % of every edge", 0.12))),
)
VARIANTS = 1 + sum(len(fault.strengths) for fault in FAULTS)


def faults_of(held: HeldOut) -> tuple[Fault, ...]:
    """What can go wrong with these people's images; with marks too, where any image has one."""
    slots = {spec.name for spec in held.model.task.images}
    marked = any(image.region is not None for one in held.snapshots for image in one.images if image.slot in slots)
    return (*FAULTS, *MARK_FAULTS) if marked else FAULTS


def corrupted(
    image: SnapshotImage, spec: ImageSpec, fault: Fault, strength: float, rng: np.random.Generator
) -> SnapshotImage:
    """One film with one fault; key, time, hash and type of pixels stay."""
    return fault.change(image, looked_at(image, spec), strength, rng)


def corruption_part(
    held: HeldOut, encoder: ServedEncoder, *, seed: int, most_runs: int, report: Report
) -> dict[str, Any]:
    """The report's part `corruption`, on people with an image and a known outcome, drawn evenly by outcome.

    At most 200 people, and no more than `most_runs` runs of the encoder. Only a note where there are too few.
    """
    held = _with_images(held, seed, most_runs)
    if not can_be_ranked(held.y):
        return {"note": TOO_FEW}
    faults = faults_of(held)
    plain = _with_films(held, reduced)
    before = _again(plain, encoder)
    rows: list[list[Any]] = [_row("none", "as it is", held, before, before)]
    for fault in faults:
        for words, strength in fault.strengths:
            rng = np.random.default_rng([seed, len(rows)])
            spoiled = _spoiled(plain, fault, strength, rng)
            rows.append(_row(fault.name, words, held, before, _again(spoiled, encoder)))
            report(len(rows) / _variants(faults), f"poor images, {fault.name}")
    note = (
        f"{len(held.y)} people with an image whom the model has not seen. “Stopped” counts all of them; the other figures "
        "are of those whose image passes the gate both as it is and with the fault. Risks that the model keeps to itself count in "
        "them too, but for the last column: only an answer that is given misleads anybody."
    )
    return {"note": note, "columns": COLUMNS, "rows": rows}


def _with_images(held: HeldOut, seed: int, most_runs: int) -> HeldOut:
    """Those of known outcome in whose risk an image takes part, as many as the runs allow."""
    able = np.flatnonzero(
        np.array([uses_image(one) for one in held.scored()], dtype=bool) & np.isfinite(held.y)
    )
    runs = (
        _variants(faults_of(held)) * sum(runs_of(held.snapshots[at].images, held.model.task) for at in able) / max(len(able), 1)
    )
    most = min(MOST_PEOPLE, int(most_runs / max(runs, 1)))
    return held.take(able[drawn(held.y[able], most, seed)])


def _variants(faults: Sequence[Fault]) -> int:
    """How often every film is read: as it is, and with each fault at each strength."""
    return 1 + sum(len(fault.strengths) for fault in faults)


def runs_of(images: Sequence[SnapshotImage], task: RiskTask) -> int:
    """How often the encoder runs to read these images once; one that may be flipped is read with its mirror."""
    runs = {spec.name: 1 + len(mirrors_of(spec)) for spec in task.images}
    return sum(runs[image.slot] for image in images if image.slot in runs)


def _with_films(held: HeldOut, change: Callable[[SnapshotImage, ImageSpec], SnapshotImage]) -> HeldOut:
    """Every image that the task reads is changed."""
    specs = {spec.name: spec for spec in held.model.task.images}

    def whole(snapshot: PatientSnapshot) -> PatientSnapshot:
        return replace(
            snapshot,
            images=tuple(
                change(one, specs[one.slot]) if one.slot in specs else one for one in snapshot.images
            ),
        )

    return replace(held, snapshots=tuple(whole(one) for one in held.snapshots))


def _spoiled(held: HeldOut, fault: Fault, strength: float, rng: np.random.Generator) -> HeldOut:
    return _with_films(held, lambda image, spec: corrupted(image, spec, fault, strength, rng))


def _again(held: HeldOut, encoder: ServedEncoder) -> list[RiskResult]:
    """Read the images and what is marked on them as they now are, and score."""
    task = held.model.task
    prepared = embed([one.images for one in held.snapshots], task.images, encoder)
    return replace(held, prepared=prepared, readings=with_measures(held)).scored()


def _row(
    name: str, words: str, held: HeldOut, before: Sequence[RiskResult], after: Sequence[RiskResult]
) -> list[Any]:
    """Figures of one fault; all but the share stopped are of those who are stopped neither before nor after."""
    stopped = np.array([is_stopped(one) for one in after])
    passed = ~stopped & ~np.array([is_stopped(one) for one in before])
    p_before, p = risks_of(before), risks_of(after)
    passed &= np.isfinite(p) & np.isfinite(p_before)
    y, persons = held.y[passed], held.persons[passed]
    silent = np.array([abstains(one) for one in after], dtype=bool)
    cells: list[Any] = [name, words, share_cell(stopped), auroc_cell(y, p[passed], persons)]
    if before is after:
        return [*cells, "–", "–", "–", share_cell(silent[passed]), "–"]
    other_side = np.array(
        [one.above_threshold != two.above_threshold for one, two in zip(before, after, strict=True)]
    )
    return [
        *cells, difference_cell(y, p[passed], p_before[passed], persons),
        points_cell(100 * np.abs(p - p_before)[passed], persons), share_cell(other_side[passed]), share_cell(silent[passed]),
        share_cell((other_side & ~silent)[passed]),
    ]  # fmt: skip
