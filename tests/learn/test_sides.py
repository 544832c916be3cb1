"""How large the encoder is shown its pictures is the task's to say; maps, reasons, replay and the refusals follow."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from salus_learn.contracts import RiskResult
from salus_learn.errors import TaskError
from salus_learn.imaging.embed import embed
from salus_learn.imaging.encoder import default_encoder, new_network
from salus_learn.imaging.network import Encoder
from salus_learn.imaging.prepare import prepared
from salus_learn.imaging.tune import Recipe, read_pixels, tune
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle, load_bundle
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.training.train import train

from tests.factories.cases import TASK, make_cases

LARGE = 288
CELLS = LARGE // 32
PLACE = 'region_column = "box"\n'
SIDED = TASK.replace(PLACE, f"{PLACE}side = {LARGE}\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A folder of cases and a model that is shown pictures of 288 pixels."""
    place = tmp_path_factory.mktemp("sided")
    folder = make_cases(place / "data", people=60)
    (folder / "task.toml").write_text(SIDED)
    task = load_task(folder / "task.toml")
    train(task, read_cases(task, folder), place / "bundle", repeats=1, folds=3)
    return folder, load_bundle(place / "bundle")


def results(made: tuple[Path, Bundle]) -> list[RiskResult]:
    folder, bundle = made
    return score(bundle, [case.snapshot for case in read_cases(bundle.model.task, folder)])


def test_maps_have_a_cell_for_every_32_pixels_and_still_add_up(made: tuple[Path, Bundle]) -> None:
    shown = [result for result in results(made) if result.maps]
    assert len(shown) == 48
    for result in shown:
        points = np.asarray(result.maps[0].points)
        assert points.shape == (CELLS, CELLS)
        assert result.probability is not None and result.reference_probability is not None
        assert math.fsum(reason.points for reason in result.reasons) / 100 == pytest.approx(result.probability - result.reference_probability, abs=1e-6)
        assert points.sum() == pytest.approx(sum(one.points for one in result.reasons if one.name == "image"), abs=1e-4)


def test_the_planted_patch_lies_where_the_map_says(made: tuple[Path, Bundle]) -> None:
    """The patch of the ill is in the lower left: more of what raises the risk lies in that quarter than in any other."""
    raised = np.zeros((CELLS, CELLS))
    for result in results(made):
        if result.maps and int(result.key) % 2:
            raised += np.clip(np.asarray(result.maps[0].points), 0, None)
    half = CELLS // 2
    corner = raised[half:, :half].sum()
    assert corner > max(raised[:half, :half].sum(), raised[:half, half:].sum(), raised[half:, half:].sum())


def test_the_same_picture_at_another_size_gives_another_answer(made: tuple[Path, Bundle]) -> None:
    """So that the size is really what the task says, and not a word in its file."""
    folder, bundle = made
    case = next(case for case in read_cases(bundle.model.task, folder) if case.snapshot.images)
    spec = bundle.model.task.images[0]
    large, small = (embed([case.snapshot.images], [replace(spec, side=side)], default_encoder()) for side in (LARGE, 224))
    assert large.images[0][0].cells.shape[0] == CELLS**2 and small.images[0][0].cells.shape[0] == 49
    assert large.images[0][0].box == small.images[0][0].box, "the same part of the picture"
    assert prepared(case.snapshot.images[0], spec)[0].shape == (3, LARGE, LARGE)
    assert not np.allclose(large.pooled, small.pooled, rtol=0.01, equal_nan=True)


@pytest.mark.parametrize("side", [160, 224, 352])
def test_the_served_encoder_is_the_network_at_every_side(side: int) -> None:
    pixels = np.random.default_rng(side).uniform(-1, 1, (2, 3, side, side)).astype(np.float32)
    network, _ = new_network()
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels)).numpy()
    found = default_encoder().run(pixels)
    assert found.shape == expected.shape == (2, 1392, side // 32, side // 32)
    assert float(np.abs(found - expected).max()) < 1e-3


def test_tuning_ends_as_large_as_the_pictures_are_served(made: tuple[Path, Bundle], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, bundle = made
    cases = [case for case in read_cases(bundle.model.task, folder) if case.snapshot.images][:24]
    pixels = read_pixels([case.snapshot.images for case in cases], [replace(bundle.model.task.images[0], side=160)])
    assert pixels.shown.shape == (24, 3, 160, 160)
    seen: list[int] = []
    pool = Encoder.back
    monkeypatch.setattr(Encoder, "back", lambda self, x: seen.append(x.shape[-1] * 4) or pool(self, x))
    target = np.array([[case.outcome, -1] for case in cases])
    tune(pixels, target, np.arange(24), seed=0, recipe=Recipe(views=72, batch=8))
    assert seen == sorted(seen) and set(seen) == {96, 128, 160}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (TASK.replace(PLACE, f"{PLACE}side = 300\n"), "side 300 is not one of 160, 192"),
        (TASK.replace(PLACE, f"{PLACE}side = 4096\n"), "side 4096 is not one of"),
        (TASK.replace(PLACE, f'{PLACE}side = "large"\n'), "side has a value of the wrong kind"),
        (SIDED + '[[image]]\nname = "other"\nmodality = "DX"\ncolumn = "film"\n', "take the same side"),
    ],
)
def test_a_side_that_cannot_be_is_refused(text: str, says: str) -> None:
    with pytest.raises(TaskError, match=says):
        task_from_text(text)
