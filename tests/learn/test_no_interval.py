"""An arm that puts everybody in order has no interval, and every reader of it says so in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from salus_learn.benchmark.command import shown
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask
from salus_learn.reporting.build import build_report
from salus_learn.reporting.charts import forest_chart
from salus_learn.reporting.verdicts import verdicts
from salus_learn.reporting.write import write_report


@pytest.fixture
def perfect() -> JudgedPeople:
    """120 people, the 12 with the outcome all above the others for the fused arm; the line mixes them up."""
    n = 120
    y, p = np.repeat([0, 1], [108, 12]), np.linspace(0.01, 0.99, n)
    arms = {"line": np.random.default_rng(1).permutation(p), "trees": p[::-1].copy(), "fused": p}
    return JudgedPeople(
        JudgedTask("t", "A task", "", "", "", "ill", 30.0), np.arange(n).astype(str), np.arange(n).astype(str), y, arms,
        {arm: values > 0.9 for arm, values in arms.items()}, p * 0.9, p, np.ones((n, 2), dtype=bool), np.zeros(n, dtype=bool),
        {"sex": np.where(np.arange(n) % 2, "f", "m"), "site": np.full(n, "North")},
    )  # fmt: skip


def test_no_verdict_is_drawn_from_a_perfect_order(perfect: JudgedPeople) -> None:
    report = build_report(perfect)
    ranking = verdicts(report)[0]
    assert ranking.startswith("◐ Ranking: cannot be told from chance. AUROC 1.000, no interval:") and "better than chance" not in ranking


def test_the_whole_report_is_written_with_words_in_place_of_the_interval(perfect: JudgedPeople, tmp_path: Path) -> None:
    written = write_report(perfect, tmp_path)
    page = written.html.read_text()
    assert "1.000 (1.000 to 1.000)" not in page and "1.000 to 1.000" not in page and "interval not computable" in page
    (claim,) = (row for row in build_report(perfect)["claims"] if row["figure"] == "AUROC")
    assert claim["verdict"] == "cannot be checked: no interval" and str(claim["interval"]).startswith("no interval")
    said = forest_chart(build_report(perfect), "auroc", "AUROC").said
    assert "site North: 1.00, no interval" in said and "None" not in said


def test_the_benchmark_says_so_too() -> None:
    assert shown({"value": 1.0, "low": None, "high": None}) == "1.000 (no interval)"
    assert shown({"value": 0.25, "low": 0.1, "high": 0.4}, signed=True) == "+0.250 (+0.100 to +0.400)"
