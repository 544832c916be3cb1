"""A small training, whole: figures, reasons that add up, the bundle's refusals, scoring again gives the same."""

from __future__ import annotations

import dataclasses
import math
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import shap
from salus_learn.contracts import Case, PatientSnapshot, RiskResult, RiskState, RiskTask
from salus_learn.errors import BundleError, TrainingError
from salus_learn.features.columns import matrix, read_all
from salus_learn.scoring.judge import evaluate
from salus_learn.scoring.score import score
from salus_learn.store.bundle import Bundle, load_bundle
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import load_task
from salus_learn.training.train import Trained, train

from tests.factories.cases import make_cases


@dataclasses.dataclass(frozen=True)
class Small:
    """One training shared by the tests of this file."""

    task: RiskTask
    cases: list[Case]
    trained: Trained
    bundle: Bundle
    folder: Path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    place = tmp_path_factory.mktemp("small")
    folder = make_cases(place / "data", people=60)
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    trained = train(task, cases, place / "bundle", repeats=1, folds=3)
    return Small(task, cases, trained, load_bundle(place / "bundle"), place / "bundle")


def snapshots(small: Small) -> list[PatientSnapshot]:
    return [case.snapshot for case in small.cases]


def assert_adds_up(result: RiskResult) -> None:
    assert result.probability is not None and result.reference_probability is not None
    total = math.fsum(reason.points for reason in result.reasons) / 100
    assert total == pytest.approx(result.probability - result.reference_probability, abs=1e-6)
    pixels = sum(float(found.points.sum()) for found in result.maps)
    image = sum(reason.points for reason in result.reasons if reason.name == "image")
    assert pixels == pytest.approx(image, abs=1e-4)


def test_every_case_has_an_out_of_fold_risk_whose_reasons_add_up(small: Small) -> None:
    assert [result.key for result in small.trained.out_of_fold] == [case.snapshot.key for case in small.cases]
    assert {result.pattern for result in small.trained.out_of_fold} == {"record", "record+image"}
    for result in small.trained.out_of_fold:
        assert_adds_up(result)
        assert result.interval is not None and result.probability is not None
        assert 0 <= result.interval[0] <= result.probability <= result.interval[1] <= 1


def test_the_planted_signal_is_found_on_people_not_seen(small: Small) -> None:
    figures = small.trained.crossval
    assert figures["n"] == 60 and figures["events"] == 30
    assert set(figures["arms"]) == {"line", "trees", "image", "fused"}
    value, low, high = figures["arms"]["fused"]["auroc"]
    assert low > 0.7 and low <= value <= high
    assert figures["fused_minus_best"][1] <= figures["fused_minus_best"][0]


def test_scoring_twice_and_one_by_one_gives_the_same(small: Small) -> None:
    together = score(small.bundle, snapshots(small)[:6])
    for snapshot, result in zip(snapshots(small)[:6], together, strict=True):
        again = score(small.bundle, [snapshot])[0]
        assert again.probability == pytest.approx(result.probability, abs=1e-6)
        assert_adds_up(again)


def test_a_missing_part_is_said_and_still_adds_up(small: Small) -> None:
    whole = small.cases[0].snapshot
    without_image = replace(whole, images=())
    without_record = replace(whole, values=())
    results = score(small.bundle, [without_image, without_record, replace(whole, images=(), values=())])
    assert [result.pattern for result in results] == ["record", "image", ""]
    assert_adds_up(results[0])
    assert_adds_up(results[1])
    assert "film" in {entry.name for entry in results[0].missing}
    assert results[2].state is RiskState.FAILED and results[2].probability is None


def test_what_was_recorded_after_the_index_moment_is_refused_alone(small: Small) -> None:
    good = small.cases[0].snapshot
    late = replace(good.values[0], time=good.index_time + timedelta(seconds=1))
    results = score(small.bundle, [replace(good, values=(late,)), good])
    assert results[0].state is RiskState.FAILED
    assert "after the index moment" in results[0].why
    assert results[1].probability is not None


def test_shap_agrees_with_the_trees_contributions(small: Small) -> None:
    model = small.bundle.model
    x = matrix(model.task, model.schema, read_all(model.task, snapshots(small)))
    assert model.trees is not None
    theirs = shap.TreeExplainer(model.trees.booster).shap_values(x)
    assert np.abs(theirs - model.trees.contributions(x)[:, :-1]).max() < 1e-5


@pytest.mark.parametrize("name", ["record.ubj", "image_head.safetensors", "chair.json", "task.toml", "encoder.onnx"])
def test_a_changed_bit_refuses_to_load(small: Small, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.folder, copy)
    raw = bytearray((copy / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / name).write_bytes(raw)
    with pytest.raises(BundleError, match=f"{name} is not the file that was written"):
        load_bundle(copy)


def test_a_file_too_many_refuses_to_load(small: Small, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(small.folder, copy)
    (copy / "extra.txt").write_text("hello")
    with pytest.raises(BundleError, match="extra.txt"):
        load_bundle(copy)


def test_the_digest_names_the_bundle(small: Small) -> None:
    assert small.bundle.digest == small.trained.digest
    assert all(result.bundle_digest == small.trained.digest for result in small.trained.out_of_fold)


def test_evaluate_gives_every_arm_with_intervals(small: Small) -> None:
    found = evaluate(small.bundle, small.cases)
    for figures in found["arms"].values():
        for name in ("auroc", "brier", "calibration_slope", "sensitivity", "specificity", "accuracy"):
            assert len(figures[name]) == 3


def test_too_few_people_is_a_sentence(small: Small, tmp_path: Path) -> None:
    few = [case for case in small.cases if case.outcome == 0] + [c for c in small.cases if c.outcome == 1][:3]
    with pytest.raises(TrainingError, match="Only 3 people"):
        train(small.task, few, tmp_path / "few", repeats=1)
