"""A tuned encoder, whole: honest margins, replay by fold, the same maps served as were tuned; and the gate before it."""

from __future__ import annotations

import dataclasses
import math
import platform
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from salus_learn.contracts import Case, ImageSpec, PatientSnapshot, RiskState, SnapshotImage
from salus_learn.errors import TaskError
from salus_learn.features.target import Target
from salus_learn.imaging.augment import augmented
from salus_learn.imaging.embed import embed
from salus_learn.imaging.encoder import ServedEncoder, new_network
from salus_learn.imaging.memory import keep_freed_memory
from salus_learn.imaging.network import CHANNELS
from salus_learn.imaging.tune import Pixels, Recipe, read_pixels, tune
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle, load_bundle
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import task_from_text
from salus_learn.training import tuning
from salus_learn.training.material import Material
from salus_learn.training.train import Trained, prepare_material, train
from salus_learn.training.tuning import image_target, wants_tuning

from tests.factories.cases import TASK, make_cases

FILM = SnapshotImage("photo", "XC", "SKIN", "photo", datetime(2026, 1, 1, tzinfo=UTC), "by hand", "0" * 64, np.zeros((8, 8), np.uint8))


@dataclasses.dataclass(frozen=True)
class Tuned:
    """One training shared by the tests of this file."""

    cases: list[Case]
    trained: Trained
    bundle: Bundle


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    place = tmp_path_factory.mktemp("tuned")
    folder = make_cases(place / "data", people=100)
    task = task_from_text(TASK + '\n[training]\nencoder = "tuned"\n')
    cases = read_cases(task, folder)
    trained = train(task, cases, place / "bundle", folds=2)
    return Tuned(cases, trained, load_bundle(place / "bundle"))


def snapshots(tuned: Tuned) -> list[PatientSnapshot]:
    return [case.snapshot for case in tuned.cases]


def with_film(tuned: Tuned) -> PatientSnapshot:
    return next(case.snapshot for case in tuned.cases if case.snapshot.images)


def test_the_folds_tuned_models_give_their_risks_again(tuned: Tuned) -> None:
    """The receipt's promise: every out-of-fold risk comes out again by its own fold's encoder, and adds up."""
    kept = {result.key: result for result in tuned.trained.out_of_fold}
    for fold in range(2):
        own = [one for one in snapshots(tuned) if tuned.trained.fold_of[one.key] == fold]
        for again in score(tuned.bundle, own, fold=fold):
            before = kept[again.key]
            assert again.probability == pytest.approx(before.probability, abs=1e-6)
            total = math.fsum(reason.points for reason in again.reasons) / 100
            assert again.probability is not None and again.reference_probability is not None
            assert total == pytest.approx(again.probability - again.reference_probability, abs=1e-6)
            pixels = sum(float(found.points.sum()) for found in again.maps)
            image = sum(reason.points for reason in again.reasons if reason.name == "image")
            assert pixels == pytest.approx(image, abs=1e-4)


def test_folds_have_encoders_of_their_own_and_learned_something(tuned: Tuned) -> None:
    served = [encoder for encoder in tuned.bundle.fold_encoders if encoder]
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 3, 224, 224)).astype(np.float32)
    first, second = (encoder.run(pixels) for encoder in served)
    assert np.array_equal(first[:, :112], second[:, :112]), "the early blocks are not tuned"
    assert np.abs(first[:, 112:] - second[:, 112:]).max() > 0.1, "the late blocks are, each fold's its own"
    curves = tuned.trained.crossval["tuning_curves"]
    assert len(curves) == 3 and all(curve[-1][0] < curve[0][0] for curve in curves)
    assert tuned.trained.crossval["arms"]["image"]["auroc"][1] > 0.6


def test_the_same_seed_teaches_the_same(tuned: Tuned) -> None:
    task, cases = tuned.bundle.model.task, tuned.cases[:40]
    pixels = read_pixels([case.snapshot.images for case in cases], task.images)
    target = np.column_stack([[case.outcome for case in cases], np.full(40, -1)])[pixels.case]
    recipe = Recipe(fewest_passes=2, most_passes=2)
    first, again, other = (tune(pixels, target, np.arange(40), seed=seed, recipe=recipe) for seed in (1, 1, 2))
    assert np.array_equal(first.weight, again.weight) and first.history == again.history
    assert not np.array_equal(first.weight, other.weight)


def test_tuning_is_chosen_by_the_file_or_by_the_number_of_images(tuned: Tuned) -> None:
    task = task_from_text(TASK)
    assert not wants_tuning(task, tuned.cases)
    many = [_with_other_images(case, number) for number in range(12) for case in tuned.cases]
    assert wants_tuning(task, many) and not wants_tuning(task, tuned.cases * 12), "the same picture twelve times is one picture"
    assert not wants_tuning(task_from_text(TASK + '\n[training]\nencoder = "frozen"\n'), many)
    with pytest.raises(TaskError, match="“huge” is not one of frozen|auto, frozen, tuned"):
        task_from_text(TASK + '\n[training]\nencoder = "huge"\n')


def _with_other_images(case: Case, number: int) -> Case:
    images = tuple(replace(image, sha256=f"{image.sha256} {number}") for image in case.snapshot.images)
    return replace(case, snapshot=replace(case.snapshot, images=images))


# --- the gate


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda x: np.full_like(x, 90), "blank"),
        (lambda x: np.kron(np.indices((8, 8)).sum(axis=0) % 2 * 255, np.ones((8, 8))).astype(np.uint8), "kind of image|looks"),
    ],
)
def test_an_image_of_another_kind_is_not_judged(tuned: Tuned, spoil: object, word: str) -> None:
    good = with_film(tuned)
    bad = replace(good, images=(replace(good.images[0], pixels=spoil(np.asarray(good.images[0].pixels))),))  # type: ignore[operator]
    result = score(tuned.bundle, [bad])[0]
    assert result.state is RiskState.ABSTAINED
    assert re.search(word, result.why), result.why


def test_few_good_images_are_stopped_at_the_gate(tuned: Tuned) -> None:
    stopped = [one for one in score(tuned.bundle, snapshots(tuned)) if one.why.startswith("The image")]
    assert len(stopped) <= 5


# --- augmentation


def test_a_chest_film_is_never_flipped_and_a_task_that_asks_for_it_is_refused() -> None:
    with pytest.raises(TaskError, match="heart"):
        task_from_text(TASK.replace('modality = "DX"', 'modality = "DX"\nbody_part = "CHEST"\nflips = true'))


def test_augmenting_is_repeatable_and_mild() -> None:
    pixels = torch.zeros(4, 3, 64, 64)
    pixels[:, :, 20:30, 8:24] = 1.0  # a patch on the left
    spec = ImageSpec("film", "Film", "DX", "CHEST")
    first = augmented(pixels, spec, torch.Generator().manual_seed(5))
    again = augmented(pixels, spec, torch.Generator().manual_seed(5))
    assert torch.equal(first, again) and not torch.equal(first, pixels)
    assert float(first.min()) >= -1 and float(first.max()) <= 1
    bright = first[:, 0] - first[:, 0].amin(dim=(1, 2), keepdim=True)
    left, right = bright[:, :, :32].sum(dim=(1, 2)), bright[:, :, 32:].sum(dim=(1, 2))
    assert bool((left > right).all()), "unflipped: the patch stays on its side"


# --- the recipe


def test_pictures_grow_and_no_fit_looks_at_many_more_than_it_should() -> None:
    recipe = Recipe()
    for images, served in ((40, 224), (1_000, 224), (2_500, 320), (50_000, 160)):
        sides = recipe.side_of_each_pass(recipe.passes_over(min(images, recipe.most_a_pass)), served)
        assert list(sides) == sorted(sides) and sides[0] < sides[-1] == served, "it ends as large as it is served"
        assert all(side % 32 == 0 for side in sides), "and no size but what the encoder can halve five times"
        assert recipe.fewest_passes <= len(sides) <= recipe.most_passes
        assert len(sides) * min(images, recipe.most_a_pass) <= recipe.fewest_passes * recipe.most_a_pass


def test_a_gpu_takes_as_many_steps_over_twice_the_pictures() -> None:
    recipe = Recipe()
    assert recipe.on("cpu") == recipe
    wide = recipe.on("cuda")
    for images in (300, 1_180, 1_700):
        steps = [one.passes_over(images) * images / one.batch for one in (recipe, wide)]
        assert wide.batch == 2 * recipe.batch and steps[1] == pytest.approx(steps[0], rel=0.15)


def test_an_image_is_taught_its_own_rows_outcome(tuned: Tuned) -> None:
    """Two eyes of a person with the outcome: the one without it is not taught as if it had it."""
    film = with_film(tuned).images[0]
    both = replace(with_film(tuned), images=(film, film))
    cases = [Case(both, 1, kind="b", image_outcomes=(0, 1)), Case(both, 1, kind="a", image_outcomes=(1, None)), Case(both, 0)]
    pixels = Pixels(torch.empty(0), np.repeat([0, 1, 2], 2), np.zeros(6, dtype=int), tuned.bundle.model.task.images)
    target, persons = Target(np.array([1, 1, 0])), np.arange(3)
    material = Material(tuned.bundle.model.task, [], None, target, persons, kinds=np.array([1, 0, -1]))
    found = image_target(material, pixels, cases)
    assert found.tolist() == [[0, -1], [1, 1], [1, 0], [-1, -1], [0, -1], [0, -1]]


def test_freed_memory_can_be_kept() -> None:
    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to keep freed memory")
def test_kept_memory_is_used_again_and_given_back_when_asked() -> None:
    """Two gigabytes written, freed and written again fault in few pages; after giving back they are gone."""
    program = (
        "import resource, torch\n"
        "from salus_learn.imaging.memory import give_back_freed_memory, keep_freed_memory\n"
        "keep_freed_memory()\n"
        "def use():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    blocks = [torch.ones(25_000_000) for _ in range(20)]\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "first, _, again = use(), use(), use()\n"
        "print(first, again, give_back_freed_memory(), use())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    first, again, given, after = done.stdout.split()
    assert int(again) < int(first) / 10 and given == "True" and int(after) > int(first) / 2


# --- mirrors


@pytest.mark.parametrize(("modality", "flips", "alike"), [("XC", True, (True, True)), ("MR", True, (True, False)), ("DX", False, (False, False))])
def test_an_image_is_read_with_the_mirrors_its_slot_allows(modality: str, flips: bool, alike: tuple[bool, bool]) -> None:
    """Whoever holds the camera the other way round gets the same answer, its cells the other way round."""
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(1, CHANNELS, 7, 7)).astype(np.float32)  # an encoder that treats every place differently

    def run(pixels: np.ndarray) -> np.ndarray:
        return pixels.mean(axis=1).reshape(-1, 1, 7, 32, 7, 32).mean(axis=(3, 5)) * weight

    spec, encoder = ImageSpec("photo", "Photo", modality, "SKIN", flips=flips), ServedEncoder(run, Path(), "by hand", "cpu")
    pixels = rng.integers(0, 255, (64, 64), dtype=np.uint8)
    for axis, same in ((1, alike[0]), (0, alike[1])):
        pair = [replace(FILM, modality=modality, pixels=one) for one in (pixels, np.flip(pixels, axis))]
        straight, mirrored = (embed([[one]], [spec], encoder).images[0][0].cells.reshape(7, 7, -1) for one in pair)
        assert np.allclose(straight, np.flip(mirrored, axis), atol=1e-5) is same


def test_the_front_with_folded_statistics_is_the_front() -> None:
    network, _ = new_network(tuned=True)
    pixels = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        assert torch.allclose(network.fused_front()(pixels), network.front(pixels), atol=1e-4)


def test_most_teachers_are_not_read_again_and_speak_nowhere(tuned: Tuned, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who taught the encoder only a few are read, for its reference; everybody else is."""
    monkeypatch.setattr(tuning, "ENOUGH_READ", 5)
    task, cases = tuned.bundle.model.task, tuned.cases
    quick = prepare_material(task, cases, lambda part, text: None, embedded=False)
    pixels = tuning.pixel_material(task, cases, report=lambda part, text: None)
    inside = np.arange(0, len(cases) - 20)
    material, _ = tuning.tuned_material(quick, pixels, cases, inside, seed=1, report=lambda part, text: None)
    assert material.prepared is not None and material.honest is not None
    pictured = np.array([bool(case.snapshot.images) for case in cases])
    assert material.prepared.present[material.honest].tolist() == pictured[material.honest].tolist()
    assert material.prepared.present[~material.honest].sum() == 5


def test_everybody_teaches_the_last_encoder_and_its_chair_rests_on_what_others_said(tuned: Tuned) -> None:
    """The folds' encoders speak for everybody with an image; the last one keeps nobody aside, and its doubt counts all of them."""
    pictured = sum(bool(case.snapshot.images) for case in tuned.cases)
    doubt = tuned.bundle.model.doubts["image"]
    assert len(doubt.controls) + len(doubt.cases) == pictured
    for fold in tuned.bundle.folds:
        rested_on = sum(len(own.controls) + len(own.cases) for name, own in fold.doubts.items() if name == "image")
        assert rested_on < 0.3 * pictured, "a fold's chair sees kept people only, if it has enough of them at all"
    curves = tuned.trained.crossval["tuning_curves"]
    assert all(pair[1] is not None for curve in curves[:-1] for pair in curve)
    assert all(pair[1] is None for pair in curves[-1]), "nobody is kept aside to watch the last"
    assert len(curves[-1]) == len(curves[0]), "the last encoder looks as often as the folds' did"
    own = {result.key: result.arm_margins["image"] for result in tuned.trained.out_of_fold if "image" in result.arm_margins}
    final = score(tuned.bundle, [one for one in snapshots(tuned) if one.key in own])
    assert any(abs(result.arm_margins["image"] - own[result.key]) > 1e-3 for result in final)
