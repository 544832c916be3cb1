"""Which kind of the outcome: shares that add up to the risk, reasons that add up for each kind, figures for every class."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from salus_learn.contracts import Case, RiskResult, RiskState
from salus_learn.errors import ExplanationError, TaskError
from salus_learn.kinds.path import kind_probabilities, path_factors
from salus_learn.scoring.judge import evaluate
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle, load_bundle
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.training.train import Trained, prepare_material, train
from salus_learn.training.tuning import pixel_material, tuned_material

from tests.factories.cases import TASK

KINDS = TASK.replace("high = 120\n", "").replace('positive = ["yes"]', 'positive = ["flu", "mild cold", "cold"]').replace(
    "[cases]", '[outcome.kinds]\nInfluenza = ["flu"]\nCold = ["cold", "mild cold"]\n[cases]'
)


@dataclass(frozen=True)
class Taught:
    """One training shared by the tests of this file."""

    cases: list[Case]
    trained: Trained
    bundle: Bundle


def make(folder: Path, people: int = 64, bright: int = 50) -> Path:
    """Illness shows in the film's lower left; its kind in the age (flu: old) and in the film's upper right (cold: bright)."""
    rng = np.random.default_rng(5)
    (folder / "films").mkdir(parents=True)
    (folder / "task.toml").write_text(KINDS)
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "age", "sex", "signs", "film", "box", "ill", "answer_sheet"])
        for number in range(people):
            word = ("no", "flu", "no", "cold", "no", "mild cold", "no", "flu")[number % 8]
            age = 50 + (14 if word == "flu" else 0) + rng.normal(0, 8)
            pixels = rng.normal(90, 18, (64, 64))
            pixels[36:56, 8:28] += 70 * (word != "no")
            pixels[8:28, 36:56] += bright * ("cold" in word)
            film = "" if number % 9 == 8 else f"c{number}.png"
            if film:
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "films" / film)
            table.writerow([f"p{number}", number, f"{age:.0f}", "f", "none", film, "", word, ""])
    return folder


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    place = tmp_path_factory.mktemp("kinds")
    folder = make(place / "data")
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    trained = train(task, cases, place / "bundle", repeats=1, folds=3)
    return Taught(cases, trained, load_bundle(place / "bundle"))


def assert_kinds_add_up(result: RiskResult) -> None:
    assert result.probability is not None and len(result.kinds) == 2
    assert math.fsum(kind.probability for kind in result.kinds) == pytest.approx(result.probability, abs=1e-12)
    for kind in result.kinds:
        assert len(kind.points) == len(result.reasons)
        assert math.fsum(kind.points) / 100 == pytest.approx(kind.probability - kind.reference_probability, abs=1e-9)
    for at, reason in enumerate(result.reasons):  # what an input adds to the kinds is what it adds to the risk
        assert math.fsum(kind.points[at] for kind in result.kinds) == pytest.approx(reason.points, abs=1e-9)


def test_every_out_of_fold_kind_adds_up_and_the_kinds_together_are_the_risk(taught: Taught) -> None:
    assert len(taught.trained.out_of_fold) == 64
    for result in taught.trained.out_of_fold:
        assert_kinds_add_up(result)


def test_the_bundle_gives_the_same_kinds_again(taught: Taught) -> None:
    asked = [case.snapshot for case in taught.cases][:6]
    first, again = score(taught.bundle, asked), score(load_bundle(taught.bundle.folder), asked)
    for one, other in zip(first, again, strict=True):
        assert_kinds_add_up(one)
        assert [kind.probability for kind in one.kinds] == [kind.probability for kind in other.kinds]


def test_each_class_has_its_figure_and_planted_kinds_are_told_apart(taught: Taught) -> None:
    found = taught.trained.crossval["kinds"]
    assert [(one["name"], one["n"]) for one in found["classes"]] == [("without", 32), ("Influenza", 16), ("Cold", 16)]
    assert sum(map(sum, found["taken_for"])) == found["n"] == 64
    low, value, high = found["macro_auroc"][1], found["macro_auroc"][0], found["macro_auroc"][2]
    assert low <= value <= high and low > 0.6
    assert found["accuracy_among_kinds"][1] > 0.5
    assert evaluate(taught.bundle, taught.cases)["kinds"]["n"] == 64
    part = taught.trained.judged.extra["kinds"]
    assert [row[0] for row in part["rows"]] == ["without", "Influenza", "Cold", "all classes"]


def test_old_age_speaks_for_influenza_and_against_a_cold(taught: Taught) -> None:
    case = next(case for case in taught.cases if case.kind == "Influenza" and case.snapshot.images)
    values = [replace(value, value=85.0) if value.code == "age" else value for value in case.snapshot.values]
    (old,) = score(taught.bundle, [replace(case.snapshot, values=tuple(values))])
    at = [reason.name for reason in old.reasons].index("age_years")
    by_name = {kind.name: kind for kind in old.kinds}
    assert by_name["Influenza"].points[at] > 0 > by_name["Cold"].points[at]


def test_the_path_integral_is_exact_also_far_from_the_reference() -> None:
    rng = np.random.default_rng(1)
    for size in (0.0, 0.1, 3.0, 40.0):
        start, end = rng.normal(size=2) * size
        s_start, s_end = rng.normal(size=(2, 4)) * size
        of_margin, of_kinds = path_factors(start, end, s_start, s_end)
        moved = of_margin * (end - start) + of_kinds @ (s_end - s_start)
        p = kind_probabilities(np.array([start, end]), np.stack([s_start, s_end]))
        assert moved == pytest.approx(p[1] - p[0], abs=1e-11)


def test_who_lies_too_far_out_has_no_risk_and_everybody_else_has(taught: Taught) -> None:
    """One mistyped age of 10^9 took every other patient's risk of the job with it, and gigabytes of memory."""
    asked = [case.snapshot for case in taught.cases[:3]]
    values = tuple(replace(value, value=1e9) if value.code == "age" else value for value in asked[1].values)
    first, far, third = score(taught.bundle, [asked[0], replace(asked[1], values=values), asked[2]])
    assert (far.state, far.probability, far.kinds) == (RiskState.FAILED, None, ()) and "far from all that taught the model" in far.why
    alone = score(taught.bundle, [asked[0], asked[2]])
    assert [one.probability for one in (first, third)] == [one.probability for one in alone]
    with pytest.raises(ExplanationError):
        path_factors(0.0, 1e9, np.zeros(3), np.array([1e9, 0.0, 0.0]))


def test_a_kind_of_too_few_people_is_not_told_apart(taught: Taught, tmp_path: Path) -> None:
    seen = [case for case in taught.cases if case.kind != "Cold"] + [case for case in taught.cases if case.kind == "Cold"][:5]
    trained = train(taught.bundle.model.task, seen, tmp_path / "bundle", repeats=1, folds=3)
    assert "kinds" not in trained.crossval
    assert all(result.kinds == () for result in trained.out_of_fold)


def test_a_tuned_encoder_learns_the_kinds_too(tmp_path: Path) -> None:
    folder = make(tmp_path / "data", people=96, bright=150)
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    material = prepare_material(task, cases, embedded=False)
    pixels = pixel_material(task, cases, report=lambda part, text: None)
    tuned, _ = tuned_material(material, pixels, cases, np.arange(len(cases)), seed=0, report=lambda part, text: None)
    cold = tuned.kind_heads[1].margins(tuned.prepared)  # type: ignore[arg-type]
    assert len(tuned.kind_heads) == 2
    kinds = np.array([case.kind or "" for case in cases])
    assert np.nanmedian(cold[kinds == "Cold"]) > np.nanmedian(cold[kinds == "Influenza"])


def test_a_task_whose_kinds_are_not_its_positive_words_is_refused() -> None:
    for wrong in ('Cold = ["cold"]', 'Cold = ["cold", "mild cold", "flu"]', 'Cold = "cold"', 'Cold = ["cold", "mild cold", "croup"]'):
        with pytest.raises(TaskError, match="kinds"):
            task_from_text(KINDS.replace('Cold = ["cold", "mild cold"]', wrong))
    with pytest.raises(TaskError, match="two kinds"):
        task_from_text(TASK.replace("[cases]", '[outcome.kinds]\nIll = ["yes"]\n[cases]'))
