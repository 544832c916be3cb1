"""Whether the maps say what counts for the model: deletion and insertion, and maps of models with random weights.

Deletion and insertion after Petsiuk, Das and Saenko (2018), RISE, with cells of the map in place of pixels; the check
with random weights after Adebayo and others (2018), Sanity checks for saliency maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from salus_learn.contracts import ImageSpec, SnapshotImage
from salus_learn.evaluation.figures import figure
from salus_learn.imaging.embed import Report, embed
from salus_learn.imaging.encoder import ServedEncoder
from salus_learn.imaging.head import ImageHead
from salus_learn.imaging.prepare import prepared
from salus_learn.stress.corruption import blurred, runs_of
from salus_learn.stress.encoders import random_encoder
from salus_learn.stress.films import changed, looked_at, reduced
from salus_learn.stress.held_out import (
    FLAT,
    HeldOut,
    is_stopped,
    mean_by_person,
    points_cell,
    risks_of,
    uses_image,
)

MOST_FILMS = 40
FEWEST_FILMS = 5
STEPS = 8
VARIANTS = 2 + 3 * (STEPS - 1)  # the film, the blurred film, and three orders between them
HEAD_DRAWS, ENCODER_DRAWS = 10, 2
CALIBRATED_ON = 32  # films that give the random encoder its batch statistics
ALIKE_FROM = 0.5  # maps that follow the model are less alike than this to a random model's
TOO_FEW = "There are fewer than 5 films that the model judges."


@dataclass(frozen=True, slots=True)
class Film:
    """One film of one person: the case's place among the held out, the film's place among its maps, and its map as shown
    (cells,), percentage points of risk per cell. `direction`: 1 where the model flags the person, -1 where it does not."""

    case: int
    place: int
    points: np.ndarray
    direction: int


def films_of(held: HeldOut, most: int, seed: int) -> list[Film]:
    """At most so many films, one a person, drawn at random from those that pass the gate and have a map that is not flat."""
    rng = np.random.default_rng(seed)
    results = held.scored()
    found: list[Film] = []
    for case in rng.permutation(len(results)).tolist():
        result = results[case]
        if len(found) < most and uses_image(result) and not is_stopped(result):
            place = int(rng.integers(len(result.maps)))
            points = np.asarray(result.maps[place].points).ravel()
            if np.ptp(points) > FLAT:
                found.append(Film(case, place, points, 1 if result.above_threshold else -1))
    return found


def runs_per_film(held: HeldOut) -> float:
    """How often the encoder runs to read one person's images once, on average over those who have any."""
    runs = [runs_of(one.images, held.model.task) for one in held.snapshots if one.images]
    return max(float(np.mean(runs)), 1.0) if runs else 1.0


# --- deletion and insertion


def deletion_part(
    held: HeldOut, encoder: ServedEncoder, *, seed: int, most_runs: int, report: Report
) -> dict[str, Any]:
    """The report's part `deletion`, on at most 40 films and `most_runs` runs of the encoder; a note where there are under 5."""
    films = films_of(held, min(MOST_FILMS, int(most_runs / (VARIANTS * runs_per_film(held)))), seed)
    if len(films) < FEWEST_FILMS:
        return {"note": TOO_FEW}
    curves = np.empty((len(films), 3, STEPS + 1))  # deletion by map, insertion by map, deletion at random
    for at, film in enumerate(films):
        curves[at] = _curves(held, film, encoder, np.random.default_rng([seed, at]))
        report((at + 1) / len(films), f"maps put to the test, {at + 1} of {len(films)} films")
    persons = held.persons[[film.case for film in films]]
    deleted, inserted, by_chance = curves[:, 0], curves[:, 1], curves[:, 2]
    put_in_by_chance = by_chance[:, ::-1]  # what is blurred last is put in first, and that order is as random
    cells = len(films[0].points)
    shares = np.array(_cuts(cells)) / cells
    lines = {
        "put in, map order": inserted, "put in, random order": put_in_by_chance,
        "taken out, random order": by_chance, "taken out, map order": deleted,
    }  # fmt: skip
    return {
        "note": _deletion_note(len(films)), "x": "share of the film's cells taken out or put in, per cent",
        "y": "support gained or lost since the start, points", "series": [_line(name, shares, values, persons) for name, values in lines.items()],
        "columns": ["order of the map against a random order", "area between them, points", "what it says"],
        "rows": [
            _area_row("taking cells out: risk moves sooner", shares, by_chance - deleted, persons),
            _area_row("putting cells in: risk comes back sooner", shares, inserted - put_in_by_chance, persons),
        ],
    }  # fmt: skip


def _deletion_note(films: int) -> str:
    return (
        f"{films} films of people whom the model has not seen. The cells of the map that speak most for what the model says are "
        "blurred first, or put back first into a blurred film. Support is the risk where the model flags, and 100 less the risk "
        "where it does not. If the map is right, support falls sooner than in a random order, and comes back sooner."
    )


def _curves(held: HeldOut, film: Film, encoder: ServedEncoder, rng: np.random.Generator) -> np.ndarray:
    """(3, 9) support in points: cells out by map, cells in by map, cells out at random; NaN where there is no risk."""
    first = np.argsort(-film.direction * film.points, kind="stable")  # speaks most for what the model says
    chance = rng.permutation(len(first))
    # cells blurred in each variant between the ends
    gone = [order[:cut] for order in (first, first[::-1], chance) for cut in _cuts(len(first))[1:-1]]
    support = _support(held, film, encoder, [chance[:0], chance, *gone])
    whole, nothing, between = support[0], support[1], support[2:].reshape(3, STEPS - 1)
    out, back, random = (np.concatenate([[whole], middle, [nothing]]) for middle in between)
    return np.stack([out, back[::-1], random])


def _cuts(cells: int) -> tuple[int, ...]:
    """How many of so many cells are blurred at each step."""
    return tuple(round(cells * step / STEPS) for step in range(STEPS + 1))


def _support(held: HeldOut, film: Film, encoder: ServedEncoder, gone: list[np.ndarray]) -> np.ndarray:
    """Support (k,) with each of these sets of cells blurred, by the path that every risk takes."""
    task = held.model.task
    specs = {spec.name: spec for spec in task.images}
    images = held.snapshots[film.case].images
    at = [number for number, image in enumerate(images) if image.slot in specs][film.place]
    variants = blurred_cells(images[at], specs[images[at].slot], gone, across=math.isqrt(len(film.points)))
    several = held.take(np.full(len(gone), film.case))
    shown = tuple(
        replace(one, images=(*images[:at], variant, *images[at + 1 :]))
        for one, variant in zip(several.snapshots, variants, strict=True)
    )
    read = embed([one.images for one in shown], task.images, encoder)
    risks = 100 * risks_of(replace(several, snapshots=shown, prepared=read).scored())
    return risks if film.direction == 1 else 100 - risks


def blurred_cells(image: SnapshotImage, spec: ImageSpec, gone: list[np.ndarray], *, across: int) -> list[SnapshotImage]:
    """The film, reduced, once for each set of cells (places row by row, `across` in a row), with these cells blurred.

    The blur is one cell wide, so that nothing smaller than a cell is left.
    """
    image = reduced(image, spec)
    left, top, right, bottom = looked_at(image, spec)
    height, width = np.asarray(image.pixels).shape[:2]
    side = right - left
    edges = np.round(np.arange(across + 1) * side / across).astype(int)
    cell = np.full((height, width), -1)
    for row in range(across):
        for column in range(across):
            rows = slice(max(top + edges[row], 0), max(top + edges[row + 1], 0))
            cell[rows, max(left + edges[column], 0) : max(left + edges[column + 1], 0)] = row * across + column
    smooth = np.asarray(changed(image, lambda light: blurred(light, side / across)).pixels)
    pixels = np.asarray(image.pixels)
    masks = [np.isin(cell, cells).reshape(height, width, *[1] * (pixels.ndim - 2)) for cells in gone]
    return [replace(image, pixels=np.where(mask, smooth, pixels)) for mask in masks]


def _line(name: str, shares: np.ndarray, values: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    """One curve (films, 9) since its start, as mean and 95 % band over people."""
    moved = values - values[:, :1]
    bands = np.array([mean_by_person(moved[:, step], persons) for step in range(STEPS + 1)]).round(4)
    body = {"y": bands[:, 0].tolist(), "low": bands[:, 1].tolist(), "high": bands[:, 2].tolist()}
    return {"name": name, "x": (100 * shares).round(2).tolist()} | body


def _area_row(name: str, shares: np.ndarray, gaps: np.ndarray, persons: np.ndarray) -> list[Any]:
    """Area between two curves, gaps (films, 9) in points, as their mean along x."""
    area = points_cell(np.trapezoid(gaps, shares, axis=1), persons)
    low, high = area["low"] or 0.0, area["high"] or 0.0
    says = (
        "• what the map marks counts"
        if low > 0
        else "✕ against the map"
        if high < 0
        else "◐ not shown to differ from chance"
    )
    return [name, area, says]


# --- random weights


def random_weights_part(held: HeldOut, *, seed: int, most_runs: int, report: Report) -> dict[str, Any]:
    """The report's part `random_weights`, on at most 40 films and `most_runs` runs of the encoder.

    Only a note where there are under 5 films or no image judge.
    """
    films = films_of(held, min(MOST_FILMS, int(most_runs / (ENCODER_DRAWS * runs_per_film(held)))), seed)
    head = held.model.head
    if len(films) < FEWEST_FILMS or head is None or held.prepared is None:
        return {"note": TOO_FEW}
    shown = held.take(np.array([film.case for film in films]))
    true = _maps(shown, films, head)
    rng = np.random.default_rng(seed)
    heads = [_maps(shown, films, random_head(head, rng)) for _ in range(HEAD_DRAWS)]
    report(0.2, "maps of a model with random weights")
    encoders = []
    for draw in range(ENCODER_DRAWS):
        encoders.append(_maps(_read_at_random(shown, seed + draw), films, head))
        report(0.2 + 0.8 * (draw + 1) / ENCODER_DRAWS, "maps of a model with random weights")
    rows = [
        _likeness_row(f"its last layer, {HEAD_DRAWS} draws", true, heads, shown.persons),
        _likeness_row(f"its whole encoder, {ENCODER_DRAWS} draws", true, encoders, shown.persons),
    ]
    passes = all(row[-1].startswith("•") for row in rows)
    return {"note": _random_note(passes, len(films)), "rows": rows, "columns": [
        "random in the other model", "likeness of the maps", "likeness of their strength alone", "what it says",
    ]}  # fmt: skip


def _random_note(passes: bool, films: int) -> str:
    said = "The check passes: the maps depend on what the model learnt." if passes else (
        "The check does not pass: a model that has learnt nothing gives maps like these, so they may show the film more than the model."
    )  # fmt: skip
    return (
        f"{said} {films} films. Likeness is the rank correlation of the cells, 1 the same and 0 nothing in common; a map that is "
        f"merely turned into its negative counts as the same. It passes where the whole interval is under {ALIKE_FROM:g}."
    )


def random_head(head: ImageHead, rng: np.random.Generator) -> ImageHead:
    """The head with a random weight wherever it has one, as large as the trained ones on each feature's own scale."""
    own = head.weight * head.scale
    drawn = rng.normal(0, own[own != 0].std(), own.shape) if own.any() else own
    return replace(head, weight=np.where(own != 0, drawn, 0.0) / head.scale)


def _read_at_random(held: HeldOut, seed: int) -> HeldOut:
    """The same people, their images read by an encoder that has learnt nothing."""
    task = held.model.task
    specs = {spec.name: spec for spec in task.images}
    few = [
        prepared(image, specs[image.slot])[0]
        for one in held.snapshots
        for image in one.images
        if image.slot in specs
    ]
    encoder = random_encoder(np.stack(few[:CALIBRATED_ON]), seed=seed)
    return replace(held, prepared=embed([one.images for one in held.snapshots], task.images, encoder))


def _maps(held: HeldOut, films: list[Film], head: ImageHead) -> np.ndarray:
    """(films, cells) each film's map; `held` is in the order of `films`."""
    assert held.prepared is not None
    return np.stack([
        head.cells(images)[film.place].ravel() for film, images in zip(films, held.prepared.images, strict=True)
    ])  # fmt: skip


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of maps (n, cells), film by film (n,); 0 where one of the two is flat."""
    flat = (np.ptp(first, axis=1) < FLAT) | (np.ptp(second, axis=1) < FLAT)
    return np.array([
        0.0 if bare else float(spearmanr(one, two).statistic) for bare, one, two in zip(flat, first, second, strict=True)
    ])  # fmt: skip


def _likeness_row(name: str, true: np.ndarray, others: list[np.ndarray], persons: np.ndarray) -> list[Any]:
    """Mean over the draws of each film, then over films with a bootstrap interval over people."""
    n = len(true)
    alike = np.mean([np.abs(likeness(true, other)) for other in others], axis=0)
    strength = np.mean([likeness(np.abs(true), np.abs(other)) for other in others], axis=0)
    cells = [figure(mean_by_person(values, persons), n, "bootstrap") for values in (alike, strength)]
    passes = all(cell["high"] is not None and cell["high"] < ALIKE_FROM for cell in cells)
    return [name, *cells, "• another map" if passes else "✕ too like the true map"]
