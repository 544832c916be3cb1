"""The model report: its figures against other ways to get them, its guard, its page and its paper."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from axe_core_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader
from salus_learn.errors import BundleError
from salus_learn.evaluation.claims import SEED_CLAIMS, Claim, checked
from salus_learn.evaluation.curves import calibration_bins
from salus_learn.evaluation.decision import decision_curve, net_benefit, predictive_values, threshold_counts
from salus_learn.evaluation.figures import (
    arm_figures,
    auroc_by_person,
    auroc_difference,
    calibration_intercept,
)
from salus_learn.evaluation.judged import JudgedPeople, load_judged, save_judged
from salus_learn.evaluation.metrics import calibration_slope, proportion_wilson
from salus_learn.evaluation.roc import roc_points
from salus_learn.reporting.build import build_report
from salus_learn.reporting.chart import Axis, Chart, Dot, Points, strokes
from salus_learn.reporting.page import content_policy, page_html
from salus_learn.reporting.sections import facts
from salus_learn.reporting.verdicts import verdicts
from salus_learn.reporting.write import Written, write_report
from salus_learn.tasks.rows import CaseTable
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import auc, average_precision_score, confusion_matrix, precision_score, roc_auc_score

from tests.factories.delong import auroc_delong, paired_auroc_difference
from tests.factories.judged import LESION, make_judged


@pytest.fixture(scope="module")
def judged() -> JudgedPeople:
    return make_judged()


@pytest.fixture(scope="module")
def written(judged: JudgedPeople, tmp_path_factory: pytest.TempPathFactory) -> Written:
    return write_report(judged, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def report(written: Written) -> dict:
    return json.loads(written.json.read_text())


def test_figures_are_those_of_sklearn(judged: JudgedPeople, report: dict) -> None:
    y, p, flagged = judged.y, judged.probabilities["fused"], judged.flagged["fused"]
    arm = report["arms"]["fused"]
    tn, fp, fn, tp = confusion_matrix(y, flagged).ravel()
    by_hand = {
        "auroc": roc_auc_score(y, p), "auprc": average_precision_score(y, p), "brier": np.mean((p - y) ** 2),
        "sensitivity": tp / (tp + fn), "specificity": tn / (tn + fp), "ppv": precision_score(y, flagged),
        "npv": tn / (tn + fn), "accuracy": (tp + tn) / len(y),
    }  # fmt: skip
    assert {name: arm[name]["value"] for name in by_hand} == pytest.approx(by_hand, abs=1e-6)
    assert [arm[name]["n"] for name in ("sensitivity", "specificity", "ppv", "npv")] == [tp + fn, tn + fp, tp + fp, tn + fn]
    assert arm["ppv"]["low"] == pytest.approx(proportion_wilson(int(tp), int(tp + fp))[1], abs=1e-6)
    assert report["arms"]["image"]["n"] == 380
    assert all(one["low"] <= one["value"] <= one["high"] for one in arm.values() if isinstance(one, dict))


def test_calibration_is_that_of_a_regression(judged: JudgedPeople) -> None:
    y, p = judged.y, judged.probabilities["fused"]
    margin = np.log(p / (1 - p))[:, None]
    plain = LogisticRegression(C=1e8, max_iter=1000, tol=1e-10).fit(margin, y).coef_[0, 0]
    assert calibration_slope(y, p, judged.persons)[0] == pytest.approx(plain, abs=1e-3)
    intercept = calibration_intercept(y, p, np.ones(len(y)))
    moved = 1 / (1 + np.exp(-(margin[:, 0] + intercept)))
    assert moved.sum() == pytest.approx(y.sum(), abs=1e-6)  # the score equation: observed as many as expected
    weight = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    weighted = 1 / (1 + np.exp(-(margin[:, 0] + calibration_intercept(y, p, weight))))
    assert (weight * weighted).sum() == pytest.approx((weight * y).sum(), abs=1e-5)
    assert math.isnan(calibration_slope(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), np.arange(4))[0])


def test_by_person_is_delong_when_each_has_one_case_and_wider_when_cases_repeat(judged: JudgedPeople) -> None:
    y, p, image = judged.y, judged.probabilities["fused"], judged.probabilities["line"]
    assert auroc_by_person(y, p, judged.persons) == pytest.approx(auroc_delong(y, p))
    assert auroc_difference(y, p, image, judged.persons) == pytest.approx(paired_auroc_difference(y, p, image))
    twice = [np.concatenate([part, part]) for part in (y, p, judged.persons)]
    # everybody counted twice is no more evidence than everybody once
    once, doubled, blind = auroc_delong(y, p), auroc_by_person(*twice), auroc_delong(*twice[:2])
    assert doubled[2] - doubled[1] == pytest.approx(once[2] - once[1], rel=0.02)
    assert blind[2] - blind[1] < 0.8 * (once[2] - once[1])


def test_the_bootstrap_draws_people_not_cases() -> None:
    few = make_judged(400, cases_each=8)
    one = arm_figures(few.y, few.probabilities["fused"], few.flagged["fused"], np.arange(400))
    y, p, flagged = (np.repeat(part[::8], 8) for part in (few.y, few.probabilities["fused"], few.flagged["fused"]))
    many = arm_figures(y, p, flagged, few.persons)
    width = {name: many[name]["high"] - many[name]["low"] for name in ("auprc", "calibration_intercept")}
    assert all(width[name] > 1.8 * (one[name]["high"] - one[name]["low"]) for name in width)
    assert many["auroc"]["method"] == "DeLong, by person"


def test_paired_differences_are_on_the_samemake_judged(judged: JudgedPeople, report: dict) -> None:
    row = next(row for row in report["differences"] if row["arm"] == "image")
    both = judged.known("image")
    fused, image = (roc_auc_score(judged.y[both], judged.probabilities[arm][both]) for arm in ("fused", "image"))
    assert row["n"] == both.sum() and row["auroc"]["value"] == pytest.approx(fused - image, abs=1e-6)


def test_curves(judged: JudgedPeople) -> None:
    y, p = judged.y, judged.probabilities["fused"]
    curve = roc_points(y, p)
    assert auc(curve["x"], curve["y"]) == pytest.approx(roc_auc_score(y, p), abs=2e-3)
    bins = calibration_bins(y, p)
    assert len(bins) == 10 and sum(row["n"] for row in bins) == len(y) and sum(row["events"] for row in bins) == y.sum()
    assert sum(row["n"] * row["predicted"] for row in bins) == pytest.approx(p.sum(), abs=1e-3)
    assert [row["n"] for row in calibration_bins(y, np.full(len(y), 0.3))] == [len(y)]


def test_net_benefit_as_vickers_and_elkin_write_it(judged: JudgedPeople) -> None:
    # 100 people, threshold 20 %: 20 found and 40 false alarms are worth (20 - 40 / 4) / 100
    assert net_benefit(20, 40, 100, 0.2) == pytest.approx(0.10)
    y, p = judged.y, judged.probabilities["fused"]
    curve = decision_curve(y, p, judged.persons, last=0.5, times=50)
    for at in (4, 24, 49):
        t = curve["t"][at]
        tp, fp = ((p >= t) & (y == 1)).sum(), ((p >= t) & (y == 0)).sum()
        assert curve["model"][at] == pytest.approx(net_benefit(tp, fp, len(y), t), abs=1e-6)
        assert curve["all"][at] == pytest.approx(net_benefit(y.sum(), (1 - y).sum(), len(y), t), abs=1e-6)
        assert curve["low"][at] <= curve["model"][at] <= curve["high"][at]
    assert curve["t"][0] == 0.01 and curve["t"][-1] == 0.5 and not any(curve["none"])


def test_threshold_counts_flag_from_the_threshold_on() -> None:
    counts = threshold_counts(np.array([1, 1, 0, 0]), np.array([0.5, 0.9, 0.5, 0.1]), steps=2)
    assert counts["tp"] == [2, 2, 0] and counts["fp"] == [2, 1, 0]


def test_predictive_values_follow_bayes() -> None:
    counts = {"tp": 90, "fn": 10, "fp": 20, "tn": 80}
    ppv, npv = predictive_values(counts, 0.01)
    assert ppv[0] == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.2 * 0.99))
    assert npv[0] == pytest.approx(0.8 * 0.99 / (0.8 * 0.99 + 0.1 * 0.01))
    assert predictive_values(counts, 0.5)[0][0] == pytest.approx(90 / 110)  # at the sample's own, the sample's own
    assert ppv[1] < ppv[0] < ppv[2]
    assert predictive_values(counts | {"fp": 0, "tn": 100}, 0.01)[0][1] < 1
    assert math.isnan(predictive_values(counts, 0.0)[0][0])


def test_small_groups_get_no_number(judged: JudgedPeople) -> None:
    men = next(row for row in build_report(judged)["subgroups"]["rows"] if row["value"] == "male")
    assert men["state"] == "too few to judge" and (men["n"], men["events"]) == (30, None)
    assert not {"auroc", "sensitivity", "brier"} & set(men)
    large = judged.groups | {"sex": np.where(np.arange(420) < 60, "male", "female")}
    rows = build_report(replace(judged, groups=large))["subgroups"]["rows"]
    men = next(row for row in rows if row["value"] == "male")
    assert men["n"] == 60 and men["auroc"]["value"] == pytest.approx(
        roc_auc_score(judged.y[:60], judged.probabilities["fused"][:60]), abs=1e-6
    )
    assert any(row["value"] == "not recorded" for row in rows)
    nobody = replace(judged, y=np.where(np.arange(420) < 60, 0, judged.y), groups=large)  # enough men, no event
    men = next(row for row in build_report(nobody)["subgroups"]["rows"] if row["value"] == "male")
    assert men["state"] == "too few to judge" and men["events"] is None


def test_coverage_counts_whose_set_holds_what_came(judged: JudgedPeople, report: dict) -> None:
    held = np.array([judged.sets[case, outcome] for case, outcome in enumerate(judged.y)])
    assert report["coverage"]["overall"]["value"] == pytest.approx(held.mean(), abs=1e-6)
    assert report["coverage"]["with_outcome"]["value"] == pytest.approx(held[judged.y == 1].mean(), abs=1e-6)
    assert report["coverage"]["abstained"]["value"] == pytest.approx(judged.abstained.mean(), abs=1e-6)


def test_the_papers_claims_cannot_be_checked_and_ours_can(report: dict) -> None:
    rows = [checked(claim) for claim in SEED_CLAIMS]
    assert all(row["n"] == row["prevalence"] == row["interval"] == "not stated" for row in rows)
    assert {row["value"] for row in rows} == {0.914, 0.946, 0.963, 0.925, 0.884, 0.902, 0.857}
    ours = report["claims"][0]
    assert set(ours) == set(rows[0]) and ours["n"] == 420 and ours["verdict"] != rows[0]["verdict"]


def test_a_stated_n_gives_wilsons_interval_over_the_rightmake_judged() -> None:
    claim = Claim("a paper", "a task", "sensitivity", 0.9, n=1000, prevalence=0.1, interval=(0.89, 0.91))
    row = checked(claim)
    _, low, high = proportion_wilson(90, 100)  # of the 100 with the outcome, not of the 1,000
    assert (row["interval"]["low"], row["interval"]["high"]) == pytest.approx((low, high), abs=1e-6)
    assert checked(replace(claim, prevalence=None))["interval"]["by"] == "as stated"
    common = checked(Claim("a paper", "a task", "accuracy", 0.91, n=200, prevalence=0.1))
    assert common["verdict"].startswith("not shown to beat")
    with pytest.raises(ValueError, match="outside 0 to 1"):
        Claim("a paper", "a task", "accuracy", 91.0)


def test_what_was_not_measured_is_said_and_never_made_up(judged: JudgedPeople, report: dict) -> None:
    assert all(part == {"state": "not measured"} for part in report["extra"].values())
    page = page_html(report)
    assert page.count("not measured (") == 10
    curve = {"x": "people", "y": "AUROC", "series": [{"name": "fused", "x": [50, 100], "y": [0.7, 0.8]}]}
    apart = build_report(replace(judged, extra={"kinds": {"state": "not applicable"}}))
    assert "– Which kind: does not apply (" in page_html(apart) and not any("kinds" in one for one in verdicts(apart))
    more = page_html(build_report(replace(judged, extra={"learning_curve": curve})))
    assert more.count("not measured (") == 9 and "fused ends at 0.800" in more


def test_verdicts_go_no_further_than_the_intervals(judged: JudgedPeople, report: dict) -> None:
    said = verdicts(report)
    assert said[1].startswith("• Fusion: better")
    alike = replace(judged, probabilities=judged.probabilities | {"line": judged.probabilities["fused"]})
    assert verdicts(build_report(alike))[1].startswith("◐ Fusion: not shown to differ")
    alone = {arm: p if arm in ("image", "fused") else np.full_like(p, np.nan) for arm, p in judged.probabilities.items()}
    one = build_report(replace(judged, probabilities=alone))
    assert one["differences"] == [] and verdicts(one)[1].startswith("– Fusion: none. There is one arm, image;")
    assert "so nothing is fused" in page_html(one) and "so nothing is fused" not in page_html(report)
    never = replace(judged, sets=np.zeros((420, 2), dtype=bool))
    assert verdicts(build_report(never))[3].startswith("✕ 90 % sets: the promise is broken")


def test_who_of_the_table_was_not_judged_stands_at_the_head(judged: JudgedPeople, report: dict) -> None:
    assert "Of the table, not judged" not in page_html(report)
    nameless = dict(facts(build_report(replace(judged, task=replace(judged.task, who="")))))
    assert nameless["Of whom"] == "not stated" and nameless["For"] == judged.task.use
    head = dict(facts(build_report(judged.of_table(CaseTable([], 1770, Counter({"<b>": 55}), Counter({"well": 20}))))))
    assert head["Of the table, not judged"] == "1\u202f770 rows that the task does not keep; 55 cases whose outcome is “<b>”"
    assert head["Taken for without the outcome"] == "20 cases whose outcome is “well”", "they were judged"
    assert "“&lt;b&gt;”" in page_html(build_report(judged.of_table(CaseTable([], 0, Counter({"<b>": 5}), Counter()))))


def test_one_outcome_only_is_said_in_words(judged: JudgedPeople, tmp_path: Path) -> None:
    nothing = write_report(replace(judged, y=np.zeros(420, dtype=int)), tmp_path)
    arm = json.loads(nothing.json.read_text())["arms"]["fused"]
    assert arm["auroc"]["value"] is None and "not computable" in arm["auroc"]["why_not"]
    assert "nobody with the outcome" in nothing.html.read_text()


def test_judged_people_are_kept_and_refused(judged: JudgedPeople, tmp_path: Path) -> None:
    kept = tmp_path / "judged.npz"
    save_judged(judged, kept)
    again = load_judged(kept)
    assert build_report(again) == build_report(judged)
    kept.write_bytes(kept.read_bytes()[:2000])
    with pytest.raises(BundleError, match="cannot be read"):
        load_judged(kept)
    with pytest.raises(ValueError, match="shape"):
        replace(judged, sets=judged.sets[:5])
    with pytest.raises(ValueError, match="outside 0 to 1"):
        replace(judged, probabilities=judged.probabilities | {"fused": judged.probabilities["fused"] * 2})


def test_the_same_people_give_the_same_bytes(judged: JudgedPeople, written: Written, tmp_path: Path) -> None:
    again = write_report(judged, tmp_path)
    for one, other in ((written.json, again.json), (written.html, again.html), (written.pdf, again.pdf)):
        assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()


def test_a_point_stands_where_its_axes_say() -> None:
    chart = Chart("t", "s", Axis("x", 0, 2, ()), Axis("y", 0, 4, ()), (Points((1.0,), (1.0,)),), 270, 168, left=46, right=24)
    dot = next(drawn for drawn in strokes(chart) if isinstance(drawn, Dot))
    assert (dot.x, dot.y) == (46 + 100, 26 + 75)


def test_the_paper_opens_and_says_the_same(report: dict, written: Written) -> None:
    reader = PdfReader(written.pdf)
    text = re.sub(r"\s+", " ", " ".join(page.extract_text() for page in reader.pages))
    assert len(reader.pages) >= 4 and reader.metadata is not None and LESION.title in str(reader.metadata.title)
    assert f"{report['arms']['fused']['auroc']['value']:.3f}" in text and "not stated" in text and "too few to judge" in text
    assert "AUROC" in text and "Screening" in text


def test_the_page_holds_everything_and_asks_for_nothing(written: Written, report: dict) -> None:
    page = written.html.read_text()
    assert "Malignancy &lt;of&gt; this lesion" in page and "<of>" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page) and "@import" not in page and "url(" not in page and "style=" not in page
    assert page.count("<caption>") == page.count("<table") and "<td><th" not in page
    female = next(row for row in report["subgroups"]["rows"] if row["value"] == "female")["sensitivity"]
    assert f">{100 * female['value']:.0f} ({100 * female['low']:.0f}–" in page  # in the forest, rounded, not cut


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def _open(browser: Browser, written: Written, width: int = 1200, scheme: str = "light") -> tuple[Page, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(written.html.as_uri())
    return page, heard


def _on_page(page: Page, name: str) -> list[float]:
    return [float(part) for part in str(page.locator(f"#{name}").get_attribute("data-value")).split()]


@pytest.mark.browser
def test_sliders_say_what_python_says(chromium: Browser, written: Written, judged: JudgedPeople) -> None:
    page, heard = _open(chromium, written)
    assert heard == [written.html.as_uri()]  # itself, and no error and no refusal by its own policy
    assert content_policy() in written.html.read_text()
    assert page.locator("#tp").inner_text() == str((judged.flagged["fused"] & (judged.y == 1)).sum())
    for arm, threshold, prevalence in (("fused", 84, 25), ("image", 14, 700), ("line", 170, 1)):
        page.select_option("#arm", arm)
        page.locator("#threshold").fill(str(threshold))
        page.locator("#prevalence").fill(str(prevalence))
        known = judged.known(arm)
        y, flagged = judged.y[known], judged.probabilities[arm][known] >= threshold / 200
        tn, fp, fn, tp = (int(part) for part in confusion_matrix(y, flagged).ravel())
        assert [page.locator(f"#{name}").inner_text() for name in ("tp", "fp", "fn", "tn")] == [str(k) for k in (tp, fp, fn, tn)]
        ppv, npv = predictive_values({"tp": tp, "fp": fp, "fn": fn, "tn": tn}, prevalence / 1000)
        assert _on_page(page, "sensitivity") == pytest.approx(proportion_wilson(tp, tp + fn), abs=2e-6)
        assert _on_page(page, "specificity") == pytest.approx(proportion_wilson(tn, tn + fp), abs=2e-6)
        assert _on_page(page, "ppv") == pytest.approx(ppv, abs=2e-6)
        assert _on_page(page, "npv") == pytest.approx(npv, abs=2e-6)
    page.close()


@pytest.mark.browser
def test_sliders_obey_the_keyboard(chromium: Browser, written: Written) -> None:
    page, _ = _open(chromium, written)
    page.get_by_label("Local prevalence").focus()
    before = page.locator("#prevalence-said").inner_text()
    page.keyboard.press("ArrowRight")
    after = page.locator("#prevalence-said").inner_text()
    assert float(after.split("\u00a0")[0]) == pytest.approx(float(before.split("\u00a0")[0]) + 0.1)
    assert page.locator("#threshold-said").inner_text() == "the operating point"
    page.get_by_label("Flag from a risk of").press("ArrowRight")
    assert "%" in page.locator("#threshold-said").inner_text()
    page.get_by_role("button", name="Back to the operating point").click()
    assert page.locator("#prevalence-said").inner_text() == before
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_the_page_can_be_read_by_all(chromium: Browser, written: Written, width: int, scheme: str) -> None:
    page, _ = _open(chromium, written, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # axe is put in by the debugger, so the page's policy does not stand in its way
    found = Axe().run(page)
    assert [(fault["id"], fault["nodes"][0]["html"][:120]) for fault in found["violations"]] == []
    page.close()


def test_where_somebody_has_several_cases_the_page_does_not_call_themmake_judged(judged: JudgedPeople) -> None:
    several = replace(judged, persons=np.array([str(number // 2) for number in range(len(judged.y))]))
    for found, word in ((judged, "people"), (several, "cases")):
        page = page_html(build_report(found))
        assert f"How many {word} were given which risk" in page and re.search(rf"<th[^>]*>\s*{word}\s*<", page), word
