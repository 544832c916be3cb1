"""AUROC over pairs of one fold: what another fold's calibration does to the order of people is no property of a model."""

from __future__ import annotations

import numpy as np
import pytest
from salus_learn.benchmark.compare import c_difference
from salus_learn.evaluation.figures import auroc_by_person, auroc_difference
from salus_learn.evaluation.kinds import kinds_report
from salus_learn.evaluation.report import arms_report
from salus_learn.evaluation.roc import roc_points
from salus_learn.evaluation.survival import auroc_at, harrell_c
from salus_learn.features.target import Target
from sklearn.metrics import roc_auc_score

PEOPLE = np.arange(200)


def drawn(seed: int, n: int = 200, folds: int = 5, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, risks and folds: every fold's model is shifted by its own error of calibration."""
    rng = np.random.default_rng(seed)
    y, of = (rng.random(n) < 0.35).astype(int), rng.permutation(np.arange(n) % folds)
    return y, 1 / (1 + np.exp(-(signal * y + rng.normal(size=n) + rng.normal(0, 2, folds)[of]))), of


def by_hand(y: np.ndarray, p: np.ndarray, folds: np.ndarray) -> float:
    """Counted pair by pair."""
    won = pairs = 0.0
    for case in np.flatnonzero(y == 1):
        others = p[(y == 0) & (folds == folds[case])]
        won += (p[case] > others).sum() + (p[case] == others).sum() / 2
        pairs += len(others)
    return won / pairs


def test_only_pairs_of_one_fold_count() -> None:
    y, p, of = drawn(1)
    value, low, high = auroc_by_person(y, p, PEOPLE, of)
    assert value == pytest.approx(by_hand(y, p, of)) and low < value < high
    assert roc_auc_score(y, p) < value - 0.05, "pooled, the folds' calibration hides what each model knows"
    assert auroc_by_person(y, p, PEOPLE, np.zeros(200)) == auroc_by_person(y, p, PEOPLE)


def test_who_knows_nothing_is_at_one_half_and_not_below() -> None:
    """Each fold's model says the share of the others: pooled it ranks whole folds, the wrong way round."""
    y, _, of = drawn(2)
    share = np.array([y[of != fold].mean() for fold in of])
    assert roc_auc_score(y, share) < 0.45 and auroc_by_person(y, share, PEOPLE, of)[0] == pytest.approx(0.5)


def test_a_fold_with_one_outcome_only_has_no_pairs() -> None:
    y, p, of = drawn(3)
    y[of == 0] = 0
    assert auroc_by_person(y, p, PEOPLE, of)[0] == pytest.approx(by_hand(y, p, of))
    alone = np.isnan(auroc_by_person(np.array([1, 1, 0, 0]), np.array([0.4, 0.3, 0.2, 0.1]), np.arange(4), np.array([0, 0, 1, 1])))
    assert alone.all(), "nobody has anybody to be compared with"


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    truth = 0.7602  # of two normals one apart: Φ(1 / √2)
    held = [low <= truth <= high for _, low, high in (auroc_by_person(y, p, PEOPLE, of) for y, p, of in map(drawn, range(400)))]
    assert 0.92 <= np.mean(held) <= 0.98


def test_a_difference_is_that_of_the_two() -> None:
    y, p, of = drawn(4)
    other = p + np.random.default_rng(0).normal(0, 0.2, 200)
    value, low, high = auroc_difference(y, p, other, PEOPLE, of)
    assert value == pytest.approx(by_hand(y, p, of) - by_hand(y, other, of)) and low < value < high


def test_the_curve_that_is_drawn_has_the_area_that_is_told() -> None:
    for seed in (5, 6):
        y, p, of = drawn(seed, n=90)
        curve = roc_points(y, p.round(1), of)  # with ties
        assert np.trapezoid(curve["y"], curve["x"]) == pytest.approx(by_hand(y, p.round(1), of), abs=2e-3)
        assert (np.diff(curve["x"]) >= 0).all() and (np.diff(curve["y"]) >= -1e-9).all()


def test_reports_and_kinds_compare_within_folds() -> None:
    y, p, of = drawn(7)
    noise = np.random.default_rng(1).random(200)
    arms = {"line": noise, "trees": p, "fused": p}
    found = arms_report("t", y, arms, {arm: risk > 0.5 for arm, risk in arms.items()}, PEOPLE, folds=of)
    assert found["arms"]["fused"]["auroc"][0] == pytest.approx(by_hand(y, p, of), abs=1e-6)
    assert found["singles"]["line"]["fused_minus"][0] == pytest.approx(by_hand(y, p, of) - by_hand(y, noise, of), abs=1e-6)
    assert found["best_single"] == "trees" and found["compared"] == 200
    kinds = kinds_report(["a"], p[:, None], p, y - 1, PEOPLE, of)
    assert [one["auroc"][0] for one in kinds["classes"]] == pytest.approx([by_hand(y, p, of)] * 2, abs=1e-6)
    assert kinds["macro_auroc"][0] == pytest.approx(by_hand(y, p, of), abs=1e-6)


def test_time_to_an_event_is_compared_within_folds() -> None:
    y, p, of = drawn(8, signal=3.0)
    time = np.where(y == 1, 10.0, 100.0)  # all cases before all controls, so C over pairs with a control is the AUROC
    apart = np.arange(200) * 1e-6
    c = harrell_c(time + apart, y, p, PEOPLE, of)[0]
    after = [(a, b) for a in np.flatnonzero(y) for b in range(200) if of[a] == of[b] and time[b] + apart[b] > time[a] + apart[a]]
    assert c == pytest.approx(np.mean([p[a] > p[b] for a, b in after]))
    assert auroc_at(time, y, p, 50.0, PEOPLE, of)[0] == pytest.approx(by_hand(y, p, of))
    noise = np.random.default_rng(3).random(200)
    gap = c_difference(Target(y, time + apart), p, noise, PEOPLE, of)[0]
    assert gap == pytest.approx(c - harrell_c(time + apart, y, noise, PEOPLE, of)[0], abs=1e-5)
