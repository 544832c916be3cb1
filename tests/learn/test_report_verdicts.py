"""What a report claims in words must hold against chance: it looks at many thresholds and many groups at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from salus_learn.evaluation.decision import decision_curve
from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.reporting.build import build_report
from salus_learn.reporting.page import page_html
from salus_learn.reporting.verdicts import verdicts

from tests.factories.judged import make_judged


def test_a_useless_model_is_seldom_said_to_be_of_use() -> None:
    """Risks that tell nothing: looked at threshold by threshold 30 of 100 such models were called better than acting on nobody."""
    rng, sure, single = np.random.default_rng(8), 0, 0
    for _ in range(80):
        y, p = (rng.random(400) < 0.2).astype(int), rng.beta(2, 6, 400)
        curve = decision_curve(y, p, np.arange(400), times=200)
        sure += max(curve["gain_sure"]) > 0
        single += max(curve["gain_low"]) > 0
    assert single > 8 and sure <= 4


def test_a_model_of_use_is_still_said_to_be_of_use() -> None:
    (said,) = (one for one in verdicts(build_report(make_judged(1200))) if "Use:" in one)
    assert said.startswith("• Use: better than acting on everybody or nobody for who acts at a risk of")


def with_groups(judged: JudgedPeople, words: np.ndarray) -> str:
    (said,) = (one for one in verdicts(build_report(replace(judged, groups={"ward": words}))) if "Subgroups:" in one)
    return said


def test_of_many_like_groups_none_is_said_to_do_worse_and_one_that_does_is() -> None:
    judged, accused = make_judged(2000), 0
    for seed in range(12):
        words = np.array([f"w{one}" for one in np.random.default_rng(seed).integers(0, 16, 2000)])
        accused += "below everybody's" in with_groups(judged, words)
    assert accused <= 2
    noise = judged.probabilities["fused"].copy()
    noise[:300] = np.random.default_rng(1).random(300)
    worse = replace(judged, probabilities=judged.probabilities | {"fused": noise})
    assert "below everybody's for ward w0" in with_groups(worse, np.array([f"w{at // 300}" for at in range(2000)]))


def test_moved_thresholds_say_that_their_intervals_take_cases_as_independent() -> None:
    single, several = (page_html(build_report(make_judged(300, cases_each=each))) for each in (1, 6))
    assert "narrower than those of the table above" in several and "narrower than those of the table above" not in single
