"""What a marked region measures, and a model that learns from it: a planted outline must be found, and only where it is marked."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from salus_learn.contracts import Case, Part, Region
from salus_learn.errors import TaskError
from salus_learn.features.columns import read_all
from salus_learn.features.readings import read_features
from salus_learn.features.target import Target
from salus_learn.scoring.score import score
from salus_learn.store.bundle import load_bundle
from salus_learn.stress.held_out import held_out
from salus_learn.stress.missing import missing_part
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.tasks.pictures import mask_region
from salus_learn.tasks.regions import MEASURES, measured, outline_of
from salus_learn.training.train import train

from tests.factories.marks import MARKED_TASK, make_marked

ROWS, COLUMNS = np.mgrid[:240, :240] - 120.0


def turned(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    turn = math.radians(degrees)
    return ROWS * math.cos(turn) - COLUMNS * math.sin(turn), ROWS * math.sin(turn) + COLUMNS * math.cos(turn)


# --- geometry


@pytest.mark.parametrize("radius", [12, 40, 100])
def test_a_disc_is_as_round_and_as_smooth_as_can_be(radius: float) -> None:
    solidity, roundness = outline_of(radius**2 >= ROWS**2 + COLUMNS**2)
    assert 0.98 < solidity <= 1.0 and 0.94 < roundness <= 1.0


@pytest.mark.parametrize("degrees", [0, 20, 45, 70])
def test_a_bar_measures_the_same_however_it_lies(degrees: float) -> None:
    """Within what four directions can tell: lengths from 0.948 to 1.026 of what they are, and one in a hundred for pixels."""
    down, across = turned(degrees)
    solidity, roundness = outline_of((np.abs(down) <= 20.5) & (np.abs(across) <= 80.5))
    true = 4 * math.pi * 41 * 161 / (2 * (41 + 161)) ** 2
    assert 0.99 * true / 1.026**2 < roundness < 1.01 * true / 0.948**2 and solidity > 0.97


def test_a_cross_is_neither_round_nor_smooth() -> None:
    arms = (np.abs(ROWS) <= 10) & (np.abs(COLUMNS) <= 90) | (np.abs(COLUMNS) <= 10) & (np.abs(ROWS) <= 90)
    solidity, roundness = outline_of(arms)
    assert solidity < 0.5 and roundness < 0.4


@pytest.mark.parametrize("place", [(4, 4), (4, slice(1, 8)), (slice(2, 5), 3), (np.arange(9), np.arange(9)), (4, [1, 7]), ([1, 7], 4)])
def test_what_lies_on_one_line_is_measured_too(place: tuple) -> None:
    """One pixel, a row, a column, a slant; two pixels far apart fill a small part of what lies between them."""
    marked = np.zeros((9, 9), dtype=bool)
    marked[place] = True
    solidity, roundness = outline_of(marked)
    assert solidity == pytest.approx(2 / 7 if marked.sum() == 2 else 1.0) and 0 < roundness <= 1


def test_a_mask_of_another_size_or_shape_marks_the_same(tmp_path: Path) -> None:
    """A mask half as large, and one that is squeezed one way only: box and outline are those on the picture."""
    drawn = (ROWS / 100) ** 2 + (COLUMNS / 50) ** 2 <= 1
    Image.fromarray(drawn.astype(np.uint8) * 255).save(tmp_path / "film.png")
    found = []
    for name, size in (("same", (240, 240)), ("half", (120, 120)), ("squeezed", (240, 120))):
        Image.fromarray(drawn).resize(size, Image.Resampling.NEAREST).save(tmp_path / f"{name}.png")
        found.append(mask_region(tmp_path / f"{name}.png", tmp_path / "film.png", "row 2"))
    for region in found:
        assert measured(region, "height_over_width") == pytest.approx(2.0, rel=0.04)
        assert region.roundness == pytest.approx(found[0].roundness, rel=0.05)
        assert region.solidity == pytest.approx(found[0].solidity, abs=0.02)


def test_a_box_has_a_height_and_a_width_and_no_outline() -> None:
    box = Region(10, 10, 30, 50)
    assert [measured(box, one) for one in MEASURES] == [2.0, None, None]
    with pytest.raises(ValueError, match="redness"):
        measured(box, "redness")


# --- task files


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('measure = "solidity"', 'measure = "redness"', "measure must be one of height_over_width"),
        ('region = "scan"\nmeasure = "solidity"', 'measure = "solidity"', "measure needs region"),
        ('region = "scan"\nmeasure = "solidity"', 'region = "film"\nmeasure = "solidity"', "“film” is no \\[\\[image\\]\\]"),
        ('measure = "solidity"', 'measure = "solidity"\ncolumn = "age"', "takes no column"),
        ('measure = "solidity"', 'measure = "solidity"\nkind = "category"', "takes no other kind"),
        ('region_column = "mask"', "", "no \\[\\[image\\]\\] with a region_column"),
    ],
)
def test_a_task_that_measures_what_cannot_be_is_refused(was: str, becomes: str, says: str) -> None:
    assert was in MARKED_TASK
    with pytest.raises(TaskError, match=says):
        task_from_text(MARKED_TASK.replace(was, becomes, 1))


# --- models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_marked(tmp_path_factory.mktemp("marked"))


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return read_cases(load_task(folder / "task.toml"), folder)


def test_what_nobody_marked_is_not_measured(folder: Path, cases: list[Case]) -> None:
    task = load_task(folder / "task.toml")
    one = cases[0].snapshot
    readings = dict(zip([spec.name for spec in task.features], read_features(task, one), strict=True))
    assert readings["tall"].value == pytest.approx(1.0, abs=0.2) and "marked region of" in readings["tall"].source
    assert readings["tall"].time == one.images[0].time and 0 < float(readings["smooth"].value or 0) <= 1
    boxed = replace(one, images=(replace(one.images[0], region=Region(10, 10, 20, 40)),))
    unmarked = replace(one, images=(replace(one.images[0], region=None),))
    for snapshot, values in ((boxed, [3.0, None]), (unmarked, [None, None]), (replace(one, images=()), [None, None])):
        found = read_features(task, snapshot)
        assert [found[0].value, found[1].value] == values and found[2].value is not None, "and the record is read as before"


def test_a_planted_outline_is_found_and_named(folder: Path, cases: list[Case], tmp_path: Path) -> None:
    task = load_task(folder / "task.toml")
    trained = train(task, cases, tmp_path / "bundle", repeats=1, folds=3)
    assert trained.crossval["arms"]["line"]["auroc"][0] > 0.9, "the outline tells who is ill, and nothing else in the record does"
    ragged = next(case.snapshot for case in cases if case.outcome)
    result = score(load_bundle(tmp_path / "bundle"), [ragged])[0]
    assert result.probability is not None and result.reference_probability is not None
    reason = max((one for one in result.reasons if one.part is Part.RECORD), key=lambda one: one.points)
    assert reason.name == "smooth" and reason.term > 1 and "marked region of" in reason.source
    assert reason.points > 50 * (result.probability - result.reference_probability), "more than half of what lifts this risk"
    assert math.fsum(one.points for one in result.reasons) / 100 == pytest.approx(result.probability - result.reference_probability, abs=1e-6)
    bare = replace(ragged, images=(replace(ragged.images[0], region=None),))
    assert {"tall", "smooth"} <= {one.name for one in score(load_bundle(tmp_path / "bundle"), [bare])[0].missing}
    # taken away with the image, and with the record although the image stays
    readings = read_all(task, [case.snapshot for case in cases])
    y = np.array([case.outcome for case in cases])
    held = held_out(
        load_bundle(tmp_path / "bundle").model, [case.snapshot for case in cases], readings, None, Target(y, None),
        np.arange(len(cases)), np.arange(len(cases)),
    )  # fmt: skip
    rows = {row[0]: row for row in missing_part(held, seed=0)["rows"]}
    assert rows["Smoothness of the outline"][1] == len(cases)
