"""Time to an event: the likelihood and the figures against their plain definitions, and a small training, whole."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from salus_learn.benchmark.compare import c_difference
from salus_learn.contracts import Case
from salus_learn.errors import CaseError, TaskError
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask, load_judged, save_judged
from salus_learn.evaluation.survival import auroc_at, harrell_c, integrated_brier, kaplan_meier, still_watched
from salus_learn.explain.points import points_per_margin, risk_of
from salus_learn.features.target import Target, breslow, cox_loss, ridge_fit
from salus_learn.reporting.blocks import Prose
from salus_learn.reporting.build import build_report
from salus_learn.reporting.sections import facts, sections
from salus_learn.reporting.verdicts import verdicts
from salus_learn.scoring.judge import evaluate
from salus_learn.scoring.score import score
from salus_learn.store.bundle import load_bundle
from salus_learn.tabular.trees import GRID, TreeShape, fit_trees
from salus_learn.tasks.cases import read_case_rows, read_cases
from salus_learn.tasks.loader import load_task, task_from_text
from salus_learn.training.train import train

TASK = """
[task]
id = "when"
title = "Outcome within a year"
[outcome]
label = "relapse"
column = "event"
positive = ["1"]
negative = ["0"]
time_column = "days"
horizon_days = 365
[cases]
table = "cases.csv"
patient = "person"
case = "person"
[[feature]]
name = "marker"
label = "Marker"
column = "marker"
[[feature]]
name = "noise"
label = "Noise"
column = "noise"
"""


def drawn(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n, 2), time with ties, event: the hazard doubles and more with the first column."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    time, lost = rng.exponential(300 / np.exp(1.2 * x[:, 0])), rng.uniform(50, 900, n)
    return x, np.ceil(np.minimum(time, lost) / 5) * 5, (time <= lost).astype(int)


def written(folder: Path, n: int = 120) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    x, time, event = drawn(n)
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "marker", "noise", "days", "event"])
        for at in range(n):
            table.writerow([f"p{at}", f"{x[at, 0]:.3f}" if at % 9 else "", f"{x[at, 1]:.3f}", time[at], event[at]])
    (folder / "task.toml").write_text(TASK)
    return folder


def test_the_partial_likelihood_is_its_definition_and_its_slope_is_right() -> None:
    x, time, event = drawn(40)
    margins = x[:, 0] * 0.7
    loss, slope = cox_loss(margins, Target(event, time))
    plain = -sum(margins[i] - math.log(np.exp(margins[time >= time[i]]).sum()) for i in range(40) if event[i])
    assert loss == pytest.approx(plain, abs=1e-9)
    for at in (0, 7, 23):
        step = np.zeros(40)
        step[at] = 1e-5
        up, down = cox_loss(margins + step, Target(event, time))[0], cox_loss(margins - step, Target(event, time))[0]
        assert slope[at] == pytest.approx((up - down) / 2e-5, abs=1e-5)


def test_the_baseline_hazard_is_breslows() -> None:
    x, time, event = drawn(30)
    margins = x[:, 0]
    times, hazard = breslow(margins, Target(event, time))
    plain = 0.0
    for at, one in enumerate(times):
        plain += event[time == one].sum() / np.exp(margins[time >= one]).sum()
        assert hazard[at] == pytest.approx(plain)


def test_a_planted_hazard_is_found_again() -> None:
    x, time, event = drawn(2000, seed=4)
    weight, offset = ridge_fit(x, Target(event, time), 100.0)
    assert offset == 0 and weight == pytest.approx([1.2, 0.0], abs=0.1)


def test_harrells_c_is_its_definition() -> None:
    x, time, event = drawn(60, seed=2)
    risk = np.round(x[:, 0], 1)
    won = pairs = 0.0
    for i in range(60):
        for j in range(60):
            if event[i] and (time[j] > time[i] or (time[j] == time[i] and not event[j])):
                pairs += 1
                won += 1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0
    value, low, high = harrell_c(time, event, risk, np.arange(60))
    assert value == pytest.approx(won / pairs) and low < value < high


def test_a_perfect_order_of_six_people_has_no_interval_and_beats_nobody() -> None:
    time, event, who = np.arange(1.0, 7.0), np.ones(6, dtype=int), np.arange(6)
    for figure in (harrell_c(time, event, -time, who), auroc_at(time, event, -time, 3.5, who)):
        assert figure[0] == 1.0 and np.isnan(figure[1:]).all()
    gap = c_difference(Target(event, time), -time, time, who)
    assert gap[0] == 1.0 and np.isnan(gap[1:]).all()


def test_an_outcome_on_the_first_day_is_an_outcome_for_the_trees() -> None:
    """Half of the people have the outcome on day 0, and the record tells which: the trees must learn it as from day 1 on."""
    x, event = np.repeat([1.0, 0.0], 100)[:, None], np.repeat([1, 0], 100)
    margins = [
        fit_trees(x, Target(event, np.repeat([first, 5.0], 100)), TreeShape(dict(GRID[0]), 60), seed=0).margins(x)
        for first in (0.0, 1.0)
    ]
    assert margins[0][0] > margins[0][-1] + 1 and margins[0] == pytest.approx(margins[1])


def test_kaplan_meier_by_hand_and_the_weighted_figures_without_loss() -> None:
    time, event = np.array([1.0, 2, 2, 3, 4]), np.array([1, 1, 0, 1, 0])
    assert kaplan_meier(time, event, np.array([0.5, 1, 2, 3, 9])) == pytest.approx([1, 0.8, 0.6, 0.3, 0.3])
    # at 2 one has the outcome and one is lost: of the three who can still be lost then, one is
    both = np.array([1.0, 2.0, 2.0, 3.0, 4.0]), np.array([1, 1, 0, 1, 0])
    assert still_watched(*both, np.array([2.0, 2.5, 9.0])) == pytest.approx([1.0, 2 / 3, 0.0])
    x, _, _ = drawn(200, seed=3)
    when = np.random.default_rng(1).exponential(100 / np.exp(x[:, 0]))
    always, grid = np.ones(200, dtype=int), np.array([40.0, 80.0])
    came = when <= 80
    # nobody is lost, so the weights are one and both figures are the plain ones
    area = np.mean([[1.0 if a > b else 0.5 if a == b else 0.0 for b in x[~came, 0]] for a in x[came, 0]])
    assert auroc_at(when, always, x[:, 0], 80.0, np.arange(200))[0] == pytest.approx(area)
    free = np.full((200, 2), 0.5)
    assert integrated_brier(when, always, free, grid, np.arange(200))[0] == pytest.approx(0.25)


def test_follow_up_that_ends_at_the_horizon_is_follow_up_to_the_horizon() -> None:
    """Everybody is watched for just 80 days: who comes to day 80 without it is a control there, and the figures are the plain ones."""
    x, _, _ = drawn(200, seed=3)
    when = np.random.default_rng(1).exponential(100 / np.exp(x[:, 0]))
    time, event = np.minimum(when, 80.0), (when <= 80).astype(int)
    area = np.mean([[1.0 if a > b else 0.5 if a == b else 0.0 for b in x[event == 0, 0]] for a in x[event == 1, 0]])
    assert auroc_at(time, event, x[:, 0], 80.0, np.arange(200))[0] == pytest.approx(area)
    free, grid = np.tile([0.7, 0.4], (200, 1)), np.array([40.0, 80.0])
    at_both = [np.where(when > at, (1 - share) ** 2, share**2).mean() for at, share in zip(grid, free[0], strict=True)]
    assert integrated_brier(time, event, free, grid, np.arange(200))[0] == pytest.approx(np.mean(at_both))


def test_six_like_cases_of_a_person_make_no_figure_surer() -> None:
    x, time, event = drawn(80, seed=5)
    grid = np.array([50.0, 150.0, 300.0])
    widths = []
    for rows in (np.arange(80), np.repeat(np.arange(80), 6)):
        t, e, risk = time[rows], event[rows], x[rows, 0]
        free = np.exp(-0.003 * np.exp(risk)[:, None] * grid)
        found = harrell_c(t, e, risk, rows), auroc_at(t, e, risk, 300.0, rows), integrated_brier(t, e, free, grid, rows)
        widths.append([high - low for _, low, high in found])
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_points_add_up_under_the_hazard_link() -> None:
    for margin, reference in ((-1.3, -0.4), (0.8, -2.0), (-0.5, -0.5)):
        per = points_per_margin(margin, reference, "cloglog")
        assert per * (margin - reference) / 100 == pytest.approx(risk_of(margin, "cloglog") - risk_of(reference, "cloglog"), abs=1e-12)
    near = points_per_margin(-0.5 + 1e-6, -0.5, "cloglog")
    assert points_per_margin(-0.5, -0.5, "cloglog") == pytest.approx(near, rel=1e-5)


def assert_hazards_are_not_told_as_risks(judged: JudgedPeople) -> None:
    """Line and trees give log hazards: no Brier score, no calibration, no “fused better” by it, no threshold to move."""
    report = build_report(judged)
    for arm in ("line", "trees"):
        for name in ("brier", "calibration_slope", "calibration_intercept"):
            assert report["arms"][arm][name]["value"] is None and "not a probability" in report["arms"][arm][name]["why_not"]
        assert report["arms"][arm]["auroc"]["value"] is not None
    assert [row["brier"]["value"] for row in report["differences"]] == [None, None]
    said = " ".join(block.text for section in sections(report) for block in section.blocks if isinstance(block, Prose))
    assert "only rank people: record, line; record, trees." in said
    assert list(report["matrix"]) == ["fused"] and report["arms"]["fused"]["brier"]["value"] is not None


def assert_those_lost_are_told_of(judged: JudgedPeople, cases: list[Case]) -> None:
    """Counted where the report says who was judged, and beside the calibration that they push."""
    lost = sum(case.time_days is not None and case.time_days < 365 and not case.outcome for case in cases)
    report = build_report(judged)
    assert judged.task.lost == lost > 0 and report["people"]["n"] == len(cases) - lost
    assert dict(facts(report))["Lost before the horizon"].startswith(f"{lost} cases were lost before 365 days without the outcome")
    (calibration,) = (text for text in verdicts(report) if "Calibration" in text)
    assert f"{lost} cases lost before the horizon are not counted, so observed shares lean high" in calibration
    assert "Lost before the horizon" not in dict(facts(build_report(replace(judged, task=replace(judged.task, lost=0)))))


def test_what_only_ranks_is_still_known_of_kept_people(tmp_path: Path) -> None:
    n, half = 60, np.linspace(0.1, 0.9, 60)
    arms = {"line": half, "fused": half}
    people = JudgedPeople(
        JudgedTask("t", "", "", "", "", "", 365.0, uncalibrated=("line",)), np.arange(n).astype(str), np.arange(n).astype(str),
        np.arange(n) % 2, arms, dict.fromkeys(arms, half > 0.5), half, half, np.ones((n, 2), dtype=bool), np.zeros(n, dtype=bool),
    )  # fmt: skip
    save_judged(people, tmp_path / "judged.npz")
    kept = load_judged(tmp_path / "judged.npz")
    assert kept.task == people.task and build_report(kept)["arms"]["line"]["brier"]["value"] is None


def test_a_small_training_whole(tmp_path: Path) -> None:
    folder = written(tmp_path / "data")
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    trained = train(task, cases, tmp_path / "bundle", repeats=1, folds=3)
    figures = trained.crossval["survival"]
    assert figures["n"] == 120 and figures["arms"]["fused"]["harrell_c"][0] > 0.7
    assert figures["integrated_brier"][0] < figures["integrated_brier_of_kaplan_meier"][0]
    for result in trained.out_of_fold:
        assert result.probability is not None and result.reference_probability is not None
        total = math.fsum(reason.points for reason in result.reasons) / 100
        assert total == pytest.approx(result.probability - result.reference_probability, abs=1e-6)
    assert_hazards_are_not_told_as_risks(trained.judged)
    assert_those_lost_are_told_of(trained.judged, cases)
    bundle = load_bundle(tmp_path / "bundle")
    for fold in range(3):
        own = [case.snapshot for case in cases if trained.fold_of[case.snapshot.key] == fold]
        kept = {result.key: result.probability for result in trained.out_of_fold}
        assert [one.probability for one in score(bundle, own, fold=fold)] == pytest.approx([kept[one.key] for one in own], abs=1e-6)
    card, by_then = bundle.card, task.outcome.horizon_days
    assert card["events"] == sum(case.outcome == 1 and (case.time_days or 0) <= by_then for case in cases) < sum(case.outcome for case in cases)
    assert card["lost"] == sum(case.outcome == 0 and (case.time_days or 0) < by_then for case in cases) > 0
    seen = evaluate(bundle, cases)
    assert seen["survival"]["arms"]["fused"]["n"] == 120
    assert json.dumps(seen), "the figures are plain JSON"


def test_the_risk_is_of_the_outcome_by_the_horizon(tmp_path: Path) -> None:
    """Calibration in the large: the mean risk is near the share with the outcome by then."""
    folder = written(tmp_path / "data", n=400)
    task = load_task(folder / "task.toml")
    cases = read_cases(task, folder)
    trained = train(task, cases, tmp_path / "bundle", repeats=1, folds=2)
    time = np.array([case.time_days for case in cases], dtype=float)
    event = np.array([case.outcome for case in cases])
    share = 1 - kaplan_meier(time, event, np.array([365.0]))[0]
    assert np.mean([result.probability for result in trained.out_of_fold]) == pytest.approx(share, abs=0.05)


@pytest.mark.parametrize(
    ("cell", "words"), [("soon", "row 3, column days: “soon” is not a time"), ("-4", "row 3, column days: -4 is not a time after")]
)
def test_a_wrong_time_is_named(tmp_path: Path, cell: str, words: str) -> None:
    folder = written(tmp_path / "data")
    lines = (folder / "cases.csv").read_text().splitlines()
    parts = lines[2].split(",")
    lines[2] = ",".join([*parts[:3], cell, parts[4]])
    (folder / "cases.csv").write_text("\n".join(lines))
    with pytest.raises(CaseError, match=words):
        read_case_rows(load_task(folder / "task.toml"), folder)


def test_a_time_needs_a_horizon_and_is_no_input() -> None:
    with pytest.raises(TaskError, match="horizon_days above 0"):
        task_from_text(TASK.replace("horizon_days = 365", ""))
    with pytest.raises(TaskError, match="days is the time to the outcome"):
        task_from_text(TASK.replace('column = "noise"', 'column = "days"'))


def test_an_arff_table_is_read_like_a_csv(tmp_path: Path) -> None:
    rows = "\n".join(f"p{at},{'?' if at == 1 else at},'a b',{at + 1},{at % 2}" for at in range(8))
    head = "".join(f"@attribute {name} numeric\n" for name in ("person", "marker", "noise", "days", "event"))
    (tmp_path / "cases.arff").write_text(f"% a comment\n@relation x\n{head}@DATA\n\n{rows}\n")
    text = TASK.replace("cases.csv", "cases.arff").replace('case = "person"', 'case = "person"\nmissing = ["", "?"]')
    text = text.replace('column = "noise"', 'column = "noise"\nkind = "category"')
    found = read_case_rows(task_from_text(text), tmp_path)
    assert [row.time_days for row in found] == [float(at + 1) for at in range(8)]
    assert "marker" not in found[1].values and found[0].values["noise"] == "a b"
