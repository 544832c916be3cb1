"""Another mark on the same film: what it changes, what it leaves alone, and what a report says that it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from salus_learn.contracts import Region, SnapshotImage
from salus_learn.features.columns import read_all
from salus_learn.imaging.embed import embed
from salus_learn.imaging.encoder import ServedEncoder
from salus_learn.scoring.judge import target_of
from salus_learn.stress.corruption import FAULTS, VARIANTS, corrupted, corruption_part, faults_of
from salus_learn.stress.held_out import HeldOut, held_out
from salus_learn.stress.marks import MARK_FAULTS
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.tasks.regions import measured
from salus_learn.training.fit import fit_model
from salus_learn.training.material import Material

from tests.factories.marks import make_marked
from tests.learn.test_stress import encoder_of, quiet, rows_of

INSIDE = 80


@dataclass(frozen=True)
class World:
    """People whom a model of marked outlines has not seen, and the encoder it was made with."""

    held: HeldOut
    encoder: ServedEncoder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = make_marked(tmp_path_factory.mktemp("marks") / "data", people=140)
    task = load_task(folder / "task.toml")
    cases, encoder = read_cases(task, folder), encoder_of([])
    snapshots = [case.snapshot for case in cases]
    prepared = embed([one.images for one in snapshots], task.images, encoder)
    material = Material(task, read_all(task, snapshots), prepared, target_of(cases), np.arange(len(cases)))
    model = fit_model(material, np.arange(INSIDE), seed=0)
    outside = np.arange(INSIDE, len(cases))
    return World(held_out(model, snapshots, material.readings, prepared, material.target, material.persons, outside), encoder)


def part_of(world: World, held: HeldOut | None = None) -> dict[str, Any]:
    return corruption_part(held or world.held, world.encoder, seed=0, most_runs=10_000, report=quiet)


def test_a_model_that_lives_by_the_outline_is_worth_nothing_with_a_box(world: World) -> None:
    rows = {(row[0], row[1]): dict(zip(part["columns"], row, strict=True)) for part in [part_of(world)] for row in part["rows"]}
    assert len(rows) == VARIANTS + sum(len(fault.strengths) for fault in MARK_FAULTS)
    assert rows["none", "as it is"]["AUROC, if not stopped"]["value"] > 0.9
    boxed = rows["only a box drawn", "without the outline"]
    assert boxed["change of AUROC"]["high"] < -0.2 and boxed["AUROC, if not stopped"]["low"] < 0.6
    # nobody who taught lacked an outline, so next to no answer is given, and hardly one that misleads
    assert boxed["then keeps its answer to itself"]["value"] > 0.9 > rows["none", "as it is"]["then keeps its answer to itself"]["value"]
    misled = "gives an answer, on the other side"
    assert boxed[misled]["value"] < 0.1 < boxed["falls on the other side of the threshold"]["value"]
    # the outline is the same wherever it lies and however large it is
    for fault, strength in (("mark drawn beside", "by 10 % of its longer side"), ("mark drawn smaller", "by a third")):
        assert rows[fault, strength]["AUROC, if not stopped"]["value"] > 0.9


def test_where_nothing_is_marked_no_other_mark_is_tried(world: World) -> None:
    bare = replace(world.held, snapshots=tuple(replace(one, images=tuple(replace(image, region=None) for image in one.images)) for one in world.held.snapshots))
    assert faults_of(bare) == FAULTS and faults_of(world.held) == (*FAULTS, *MARK_FAULTS)
    assert len(rows_of(part_of(world, bare))) == 1 + len(FAULTS)


def other(image: SnapshotImage, name: str, at: int, world: World) -> SnapshotImage:
    fault = next(fault for fault in MARK_FAULTS if fault.name == name)
    spec = world.held.model.task.images[0]
    return corrupted(image, spec, fault, fault.strengths[at][1], np.random.default_rng(0))


def test_each_other_mark_is_what_it_is_called(world: World) -> None:
    image = replace(world.held.snapshots[0].images[0], region=Region(30, 40, 70, 60, "mask", solidity=0.8, roundness=0.6))
    found = {(fault.name, at): other(image, fault.name, at, world).region for fault in MARK_FAULTS for at in range(len(fault.strengths))}
    assert image.region is not None and all(region is not None and region.right > region.left for region in found.values())
    larger, smaller = found["mark drawn larger", 1], found["mark drawn smaller", 1]
    assert larger is not None and (larger.left, larger.top, larger.right, larger.bottom) == (23, 36, 77, 64)
    assert smaller is not None and (smaller.left, smaller.top, smaller.right, smaller.bottom) == (36, 43, 64, 57)
    beside = found["mark drawn beside", 1]
    assert beside is not None and (beside.right - beside.left, beside.bottom - beside.top) == (40, 20)
    assert np.hypot(beside.left - 30, beside.top - 40) == pytest.approx(10, abs=1)
    taller = found["mark drawn taller", 1]
    assert taller is not None and measured(taller, "height_over_width") == pytest.approx(0.625, abs=0.03) and taller.solidity == 0.8
    assert found["only a box drawn", 0] == Region(30, 40, 70, 60, "mask")
    assert all(np.array_equal(other(image, fault.name, 0, world).pixels, image.pixels) for fault in MARK_FAULTS), "the film itself stays"
    bare = replace(image, region=None)
    assert all(other(bare, fault.name, 0, world) is bare for fault in MARK_FAULTS)
