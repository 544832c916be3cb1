"""Figures against independent ways to get them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from salus_learn.calibration.doubt import fit_doubt
from salus_learn.calibration.threshold import operating_margin, operating_threshold
from salus_learn.evaluation.decision import predictive_values
from salus_learn.evaluation.figures import auroc_by_person, auroc_difference, figure
from salus_learn.evaluation.kinds import kinds_report
from salus_learn.evaluation.metrics import brier, calibration_slope, proportion_by_person, proportion_wilson
from salus_learn.evaluation.report import arms_report
from salus_learn.evaluation.subgroups import judgeable
from salus_learn.explain.points import check_sum, points_per_margin, sigmoid
from salus_learn.store.model import Margins
from salus_learn.tasks.loader import task_from_text
from salus_learn.training.fit import _thresholds
from salus_learn.training.train import _mean, mean_report
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from tests.factories.cases import TASK as CASES


@pytest.fixture
def sample() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 300)
    return y, np.round(rng.normal(y, 1.2), 1)  # rounded, so that there are ties


def test_auroc_is_the_share_of_pairs_in_order(sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = sample
    pairs = p[y == 1][:, None] - p[y == 0][None, :]
    by_hand = (pairs > 0).mean() + 0.5 * (pairs == 0).mean()
    assert auroc_by_person(y, p, np.arange(300))[0] == pytest.approx(by_hand)
    assert auroc_by_person(y, p, np.arange(300))[0] == pytest.approx(roc_auc_score(y, p))


def test_delong_interval_agrees_with_the_bootstrap(sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = sample
    rng = np.random.default_rng(0)
    draws = [roc_auc_score(y[i], p[i]) for i in rng.integers(0, len(y), (600, len(y)))]
    _, low, high = auroc_by_person(y, p, np.arange(300))
    assert low == pytest.approx(np.quantile(draws, 0.025), abs=0.012)
    assert high == pytest.approx(np.quantile(draws, 0.975), abs=0.012)


def test_the_difference_with_itself_is_nothing(sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = sample
    assert auroc_difference(y, p, p, np.arange(300)) == pytest.approx((0.0, 0.0, 0.0))


def test_wilson_as_published() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662
    assert proportion_wilson(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=1e-4)


def test_points_have_their_limit_at_the_reference() -> None:
    near = points_per_margin(0.3 + 1e-6, 0.3)
    assert points_per_margin(0.3, 0.3) == pytest.approx(near, rel=1e-5)
    check_sum([points_per_margin(2.0, 0.3) * 1.7], sigmoid(2.0), sigmoid(0.3))


def test_nine_in_ten_of_new_people_are_in_their_set() -> None:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 4000)
    margin = rng.normal(1.5 * (2 * y - 1), 1.5)
    doubt = fit_doubt(margin[:600], y[:600], np.arange(600))
    for label in (0, 1):
        new = [doubt.conformal_set(m) for m in margin[600:][y[600:] == label]]
        assert np.mean([label in kept for kept in new]) == pytest.approx(0.9, abs=0.04)


def test_rows_of_one_person_make_nobody_surer() -> None:
    """Eight rows a person tell what one row tells; drawn row by row, the interval would be far too narrow."""
    rng = np.random.default_rng(4)
    margin = rng.normal(size=40)
    y = (rng.random(40) < 1 / (1 + np.exp(-margin))).astype(int)
    once = fit_doubt(margin, y, np.arange(40))
    often = fit_doubt(np.repeat(margin, 8), np.repeat(y, 8), np.repeat([f"person {at:02d}" for at in range(40)], 8))
    wide, still = (float(np.mean([np.diff(doubt.interval(at, sigmoid(at)))[0] for at in (-1.0, 0.0, 1.0)])) for doubt in (once, often))
    assert still == pytest.approx(wide, rel=0.15)


def test_the_interval_does_not_hang_on_how_people_are_called() -> None:
    """With one row a person the same rows are drawn whatever the names are, so stored intervals stay what they were."""
    rng = np.random.default_rng(4)
    margin, y = rng.normal(size=60), rng.integers(0, 2, 60)
    by_number, by_name = (fit_doubt(margin, y, who) for who in (np.arange(60), rng.permutation(60).astype(str)))
    assert by_number.low.tolist() == by_name.low.tolist() and by_number.high.tolist() == by_name.high.tolist()


def test_the_threshold_reaches_its_target(sample: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = sample
    cut = operating_threshold(p, y, "sensitivity", 0.9)
    assert (p[y == 1] >= cut).mean() >= 0.9
    assert (p[y == 1] >= cut + 0.2).mean() < 0.9
    cut = operating_threshold(p, y, "alerts_per_100", 20)
    assert (p >= cut).mean() <= 0.2


def test_the_best_cut_stays_near_the_true_one_however_few_people_chose_it() -> None:
    """Two bell curves whose true cut is even odds: the empirical best cut strays twice as far."""
    rng, cuts, empirical = np.random.default_rng(2), [], []
    for _ in range(60):
        y = np.repeat([0, 1], 80)
        odds = rng.normal(2.0 * y - 1.0, 1.0)
        p = 1 / (1 + np.exp(-2.0 * odds))
        cuts.append(operating_threshold(p, y, "youden", 0.0))
        order = np.argsort(p)
        gain = np.cumsum(np.where(y[order] == 0, 1, -1))
        empirical.append(p[order][min(int(gain.argmax()) + 1, 159)])
    assert np.std(cuts) < 0.6 * np.std(empirical) and np.mean(cuts) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("p", "low", "high"), [
    ([0.10, 0.12, 0.15, 0.80, 0.85, 0.90], 0.15, 0.80), ([0.2, 0.2, 0.2, 0.7, 0.7, 0.7], 0.2, 0.7),
], ids=["apart", "two risks only"])  # fmt: skip
def test_where_people_lie_apart_the_cut_lies_between_them(p: list[float], low: float, high: float) -> None:
    assert low < operating_threshold(np.array(p), np.array([0, 0, 0, 1, 1, 1]), "youden", 0.0) <= high


def test_the_best_cut_of_margins_is_that_of_their_probabilities() -> None:
    """Margins run from -6 to 6, not from 0 to 1: a single arm's operating point lay far off when they were taken for shares."""
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], 200)
    margins = rng.normal(2.0 * y - 3.0, 1.0)
    cut = operating_margin(margins, y, "youden", 0.0)
    assert cut == pytest.approx(-2.0, abs=0.3)
    assert sigmoid(cut) == pytest.approx(operating_threshold(1 / (1 + np.exp(-margins)), y, "youden", 0.0))


def test_nobody_is_flagged_where_one_alert_is_already_too_many() -> None:
    margins, y = np.arange(10.0), np.repeat([0, 1], 5)
    assert (margins >= operating_margin(margins, y, "alerts_per_100", 5)).sum() == 0


@pytest.mark.parametrize("allowed", range(1, 101))
def test_as_many_are_flagged_as_may_be(allowed: int) -> None:
    p, y = np.arange(100) / 100, np.arange(100) % 2
    assert (p >= operating_threshold(p, y, "alerts_per_100", allowed)).sum() == allowed
    assert (p[y == 1] >= operating_threshold(p, y, "sensitivity", 0.7)).mean() == pytest.approx(0.7)


def test_eight_cases_of_each_person_make_no_figure_surer() -> None:
    """What eight like cases of a person tell is what one of them tells: no interval may shrink for them."""
    rng = np.random.default_rng(6)
    y = (rng.random(60) < 0.4).astype(int)
    p = 1 / (1 + np.exp(-rng.normal(1.5 * y - 1, 1.0)))
    p_line = 1 / (1 + np.exp(-rng.normal(0.8 * y - 1, 1.0)))
    reports = [
        arms_report("t", y[rows], {"line": p_line[rows], "trees": 1 - p[rows], "fused": p[rows]},
                    dict.fromkeys(("line", "trees", "fused"), p[rows] > 0.4), rows)
        for rows in (np.arange(60), np.repeat(np.arange(60), 8))
    ]  # fmt: skip
    for name in ("auroc", "brier", "calibration_slope"):
        once, often = (one["arms"]["fused"][name] for one in reports)
        assert often[0] == pytest.approx(once[0]) and often[2] - often[1] == pytest.approx(once[2] - once[1], rel=0.05)
    once, often = (one["fused_minus_best"] for one in reports)
    assert often[2] - often[1] == pytest.approx(once[2] - once[1], rel=0.05)
    kinds = [
        kinds_report(["a"], p[rows, None], p[rows], y[rows] - 1, rows)["classes"][1]["auroc"]
        for rows in (np.arange(60), np.repeat(np.arange(60), 8))
    ]
    assert kinds[1] == pytest.approx(kinds[0], abs=0.01)


def test_one_person_with_many_cases_gives_no_interval() -> None:
    y, p = np.tile([0, 1], 20), np.linspace(0.1, 0.9, 40)
    assert np.isnan(brier(y, p, np.zeros(40))).all()
    assert np.isfinite(calibration_slope(y, p, np.arange(40))).all()


def test_a_group_of_many_cases_and_few_people_is_too_few() -> None:
    y = np.arange(200) % 2
    assert judgeable(y, np.arange(200)) and judgeable(y, np.arange(200) // 4)
    assert not judgeable(y, np.arange(200) // 5), "forty people"
    assert not judgeable((np.arange(200) < 180).astype(int), np.where(np.arange(200) < 180, np.arange(200), 200)), "one person without it"


@pytest.mark.parametrize(("events", "others", "sensitivity", "specificity", "prevalence"), [
    (30, 200, 0.95, 0.9, 0.02), (100, 400, 0.9, 0.99, 0.01), (15, 300, 0.8, 0.8, 0.05),
])  # fmt: skip
def test_predictive_values_hold_the_truth_as_often_as_they_say(
    events: int, others: int, sensitivity: float, specificity: float, prevalence: float
) -> None:
    """Every outcome of a study, weighed by how likely it is: the interval holds the true PPV and NPV about 95 times of 100."""
    held = np.zeros(2)
    right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    missed, left = (1 - sensitivity) * prevalence, specificity * (1 - prevalence)
    truth = right / (right + wrong), left / (left + missed)
    found, alarms = binom.pmf(np.arange(events + 1), events, sensitivity), binom.pmf(np.arange(others + 1), others, 1 - specificity)
    for tp in np.flatnonzero(found > 1e-5).tolist():
        for fp in np.flatnonzero(alarms > 1e-5).tolist():
            given = predictive_values({"tp": tp, "fn": events - tp, "fp": fp, "tn": others - fp}, prevalence)
            held += found[tp] * alarms[fp] * np.array([one[1] <= true <= one[2] for one, true in zip(given, truth, strict=True)])
    assert held.min() > 0.935


def _repeat(seed: int, best: str) -> dict[str, Any]:
    """One repeat, in which one of two single arms comes out as the better one, by chance."""
    rng = np.random.default_rng(seed)
    y = np.arange(80) % 2
    p = {arm: 1 / (1 + np.exp(-rng.normal(y * (1.3 if arm in (best, "fused") else 0.9), 1.0))) for arm in ("line", "trees", "fused")}
    return arms_report("t", y, p, {arm: values > 0.5 for arm, values in p.items()}, np.arange(80))


def test_over_the_repeats_fused_is_held_against_one_and_the_same_arm() -> None:
    reports = [_repeat(3, "line"), _repeat(4, "trees"), _repeat(5, "line")]
    assert {one["best_single"] for one in reports} == {"line", "trees"}
    mean = mean_report(reports)
    best = max(("line", "trees"), key=lambda arm: mean["arms"][arm]["auroc"][0])
    apart = [one["arms"]["fused"]["auroc"][0] - one["arms"][best]["auroc"][0] for one in reports]
    assert mean["best_single"] == best and mean["fused_minus_best"][0] == pytest.approx(np.mean(apart), abs=2e-6)
    assert mean["fused_minus_best"][0] == pytest.approx(mean["arms"]["fused"]["auroc"][0] - mean["arms"][best]["auroc"][0], abs=2e-6)


def test_a_figure_that_one_repeat_lacks_is_averaged_over_the_others() -> None:
    reports = [_repeat(seed, "line") for seed in (3, 4)]
    for lacking in (0, 1):
        some = copy.deepcopy(reports)
        some[lacking]["arms"]["line"]["brier"] = [None, None, None]
        some[lacking]["arms"]["trees"]["auroc"][1] = None
        del some[lacking]["arms"]["fused"]
        mean = mean_report(some)["arms"]
        assert mean["line"]["brier"] == reports[1 - lacking]["arms"]["line"]["brier"]
        assert mean["fused"] == reports[1 - lacking]["arms"]["fused"]
        assert mean["trees"]["auroc"][1] is None and mean["trees"]["auroc"][0] is not None, "a bound of one repeat is none of the mean of both"
    assert mean_report([one | {"singles": {}} for one in reports])["fused_minus_best"] is None


@pytest.mark.parametrize("events", [5, 10])
def test_few_events_do_not_make_an_auroc_sure(events: int) -> None:
    """True AUROC 0.9: the interval holds it about 95 times of 100, where DeLong's own held it far more seldom."""
    rng, held, times = np.random.default_rng(events), 0, 400
    y = np.repeat([0, 1], [60, events])
    for _ in range(times):
        area, low, high = auroc_by_person(y, rng.normal(size=60 + events) + 1.8124 * y, np.arange(60 + events))
        assert not low <= area <= high if area == 1 else 0 < low < area < high < 1
        held += bool(np.isnan(low)) or low <= 0.9 <= high
    assert held / times > 0.89


def test_a_perfect_order_of_few_has_no_interval_and_says_so() -> None:
    y, p = np.repeat([0, 1], [40, 2]), np.arange(42) / 50
    for values in (p, -p):
        value, low, high = auroc_by_person(y, values, np.arange(42))
        assert value in (0.0, 1.0) and np.isnan([low, high]).all()
    plain = figure(auroc_by_person(y, p, np.arange(42)), 42, "DeLong")
    assert (plain["value"], plain["low"], plain["high"]) == (1.0, None, None) and plain["why_not"].startswith("no interval")


def test_one_person_alone_with_the_outcome_gives_no_interval() -> None:
    y, p = np.repeat([0, 1], [40, 3]), np.array([*np.linspace(0, 1, 40), 0.7, 0.8, 0.5])
    value, low, high = auroc_by_person(y, p, np.array([*range(40), 40, 40, 40]))
    assert 0 < value < 1 and np.isnan([low, high]).all()


def test_the_operating_point_of_a_confident_arm_lies_between_its_two_groups() -> None:
    """Kept as a margin over the arm's reference: groups about -6 and 6, cut to shares, had their operating point far off"""
    rng = np.random.default_rng(3)
    y = np.repeat([0.0, 1.0], 150)
    margins = rng.normal(12 * y - 9, 2.0)
    task = replace(task_from_text(CASES), threshold_rule="youden")
    found = _thresholds(task, Margins({"line": margins}, {"line": 0.0}), 1 / (1 + np.exp(-margins)), y)
    assert found["line"] == pytest.approx(-3.0, abs=1.0)
    assert found["fused"] == pytest.approx(sigmoid(found["line"]), abs=0.02)


def test_a_mean_of_repeats_has_bounds_only_where_all_have_them() -> None:
    arm = {"auroc": [1.0, None, None], "n": 20}
    other = {"auroc": [0.533, 0.217, 0.825], "n": 20}
    mean = _mean([arm, dict(arm), other])
    assert mean["auroc"] == [pytest.approx(0.844333, abs=1e-6), None, None], "0.844 (0.217-0.825) lay outside itself"
    assert _mean([other, other])["auroc"] == [0.533, 0.217, 0.825]


@pytest.mark.parametrize(("cases_each", "alike"), [(1, 0.0), (6, 0.5), (12, 0.8)])
def test_a_share_among_cases_of_the_same_people_is_covered_as_promised(cases_each: int, alike: float) -> None:
    """Wilson's interval of cases taken as independent held the truth in half of the samples only."""
    rng, people, held, plain = np.random.default_rng(4), 60, 0, 0
    persons = np.repeat(np.arange(people), cases_each)
    for _ in range(400):
        own = rng.random(people) < 0.8
        hit = np.where(rng.random(len(persons)) < alike, own[persons], rng.random(len(persons)) < 0.8)
        _, low, high = proportion_by_person(hit, persons)
        held += low <= 0.8 <= high
        _, low, high = proportion_wilson(int(hit.sum()), len(hit))
        plain += low <= 0.8 <= high
    assert 0.92 <= held / 400 <= 0.98
    assert plain == held if cases_each == 1 else plain / 400 < 0.85
