"""Tunes the encoder for one set of training people and makes the material that their model is fitted from.

Of a fold's training people most teach the encoder. A quarter (of many people a sixth) never do: their image margins are honest,
so chair, doubt and thresholds are fitted on them alone. Of the model on everybody all teach: its chair is fitted on what the
folds' encoders said of people they had not seen.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.contracts import Case, RiskTask
from salus_learn.features.target import fewest_people
from salus_learn.imaging.embed import Prepared, Report, embed
from salus_learn.imaging.encoder import default_encoder, open_encoder, write_encoder
from salus_learn.imaging.gate import Gate, fit_gate
from salus_learn.imaging.head import ImageHead, other_answer, tuned_head
from salus_learn.imaging.network import Encoder
from salus_learn.imaging.tune import Pixels, TunedNetwork, read_pixels, tune
from salus_learn.training.crossed import Crossed
from salus_learn.training.material import Material

ENOUGH_IMAGES = 800
ENOUGH_HONEST = 200  # cases kept for chair, doubt and thresholds, where that is a quarter to a sixth of those inside
ENOUGH_READ = 200  # teachers read again by the tuned encoder: enough for its reference and its usual directions


@dataclass(frozen=True, slots=True)
class Tuned:
    """A tuned network, its image head and whose image margins are honest ((n,) of all cases).

    `history` is the loss after each pass on those who taught and on the honest part.
    """

    network: Encoder
    head: ImageHead
    honest: np.ndarray
    history: tuple[tuple[float, float | None], ...]


def wants_tuning(task: RiskTask, cases: Sequence[Case]) -> bool:
    """What the task file says, or by the number of different images: under 800 a tuned encoder learns people by heart."""
    if task.encoder != "auto" or not task.images:
        return task.encoder == "tuned" and bool(task.images)
    return len({image.sha256 for case in cases for image in case.snapshot.images}) >= ENOUGH_IMAGES


def pixel_material(task: RiskTask, cases: Sequence[Case], *, report: Report) -> Pixels:
    """All images, cut out and scaled once for all folds; nothing is learnt from them here."""
    return read_pixels([case.snapshot.images for case in cases], task.images, report=report)


def tuned_material(
    material: Material, pixels: Pixels, cases: Sequence[Case], inside: np.ndarray, *, seed: int, report: Report,
    crossed: Crossed | None = None,
) -> tuple[Material, Tuned]:
    """Tune on `inside` and embed with the result, by the encoder that will serve it, everybody but most of the teachers.

    With `crossed` all of `inside` teach.
    """
    teachers = inside if crossed else _teachers(material, inside, seed)
    kept = np.setdiff1d(inside, teachers)
    network = tune(
        pixels, image_target(material, pixels, cases), teachers, seed=seed, watched=kept if len(kept) else None,
        passes=crossed.passes if crossed else None,
        report=lambda part, text: report(0.85 * part, text),
    )  # fmt: skip
    # what a teacher's image says is not honest, so nothing but the reference is worked out from them
    shown = teachers[np.isin(teachers, pixels.case)]
    again = np.random.default_rng(seed).permutation(shown)[:ENOUGH_READ]
    read = np.setdiff1d(np.arange(len(cases)), np.setdiff1d(teachers, again))
    prepared = _embedded(material.task, cases, read, network.network, lambda part, text: report(0.85 + 0.15 * part, text))
    weight, bias = network.weight[1] - network.weight[0], float(network.bias[1] - network.bias[0])
    head = tuned_head(prepared, again, kept, weight, bias, far=crossed.far if crossed else None)
    honest = np.zeros(len(cases), dtype=bool)
    honest[np.setdiff1d(np.arange(len(cases)), teachers)] = True
    tuned = Tuned(network.network, head, honest, network.history)
    found = replace(material, prepared=prepared, tuned_head=head, honest=honest, kind_heads=_kind_heads(network, head))
    if crossed:
        found = replace(found, image_apart=crossed.apart, kinds_apart=crossed.kinds)
    return found, tuned


def image_target(material: Material, pixels: Pixels, cases: Sequence[Case]) -> np.ndarray:
    """(N, 2) of each image its outcome and kind: its case's, or its own where several rows make a case."""
    kinds = np.full(len(cases), -1) if material.kinds is None else material.kinds
    outcome, kind = material.y[pixels.case].astype(int), kinds[pixels.case].astype(int)
    slots = {spec.name for spec in pixels.specs}
    at = 0
    for case in cases:
        own = [label for image, label in zip(case.snapshot.images, case.image_outcomes, strict=False) if image.slot in slots]
        for label in own:
            outcome[at] = -1 if label is None else label
            at += 1
        at += sum(image.slot in slots for image in case.snapshot.images) - len(own)
    # an eye without the outcome shows no kind of it, whatever the other eye shows
    return np.column_stack([outcome, np.where(outcome == 1, kind, -1)])


def _kind_heads(network: TunedNetwork, head: ImageHead) -> tuple[ImageHead, ...]:
    """One head per kind: its classifier against the mean of the others'."""
    weight, bias = network.weight[2:], network.bias[2:]
    heads = []
    for at in range(len(weight)):
        others = np.arange(len(weight)) != at
        heads.append(other_answer(head, weight[at] - weight[others].mean(axis=0), float(bias[at] - bias[others].mean())))
    return tuple(heads)


def _teachers(material: Material, inside: np.ndarray, seed: int) -> np.ndarray:
    """The people of `inside` who teach the encoder, split by person and stratified by outcome."""
    y, persons = material.y[inside], material.persons[inside]
    folds = int(min(np.clip(len(inside) // ENOUGH_HONEST, 4, 6), fewest_people(y, persons)))
    taught, _ = next(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(y, y, persons))
    return inside[taught]


def _embedded(task: RiskTask, cases: Sequence[Case], read: np.ndarray, network: Encoder, report: Report) -> Prepared:
    """The cases `read` by the served form of the tuned encoder, so that a replay is the same arithmetic."""
    with tempfile.TemporaryDirectory(prefix="salus-tuned-") as place:
        weights = write_encoder(Path(place), network)
        served = open_encoder(Path(place), weights, device="cpu")
        asked = np.isin(np.arange(len(cases)), read)
        images = [case.snapshot.images if wanted else () for case, wanted in zip(cases, asked, strict=True)]
        return embed(images, task.images, served, report=report)


def fit_gates(task: RiskTask, cases: Sequence[Case], *, seed: int) -> dict[str, Gate]:
    """A gate per image slot with enough images. Gates see no outcome, so they are fitted once on everybody."""
    gates = {}
    for spec in task.images:
        images = [image for case in cases for image in case.snapshot.images if image.slot == spec.name]
        gate = fit_gate(images, spec, default_encoder().run, seed=seed)
        if gate is not None:
            gates[spec.name] = gate
    return gates
