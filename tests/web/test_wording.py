"""How values are said to people: no code of a standard, no comma after the last word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.template import engines
from salus_web.common.clock import now
from salus_web.dashboard.pages.numbers import interval, of_hundred, percent
from salus_web.dashboard.pages.wording import as_of, unit


@pytest.mark.parametrize(
    ("code", "said"),
    [("mm[Hg]", "mmHg"), ("{score}", ""), ("10*3/uL", "×10³/µL"), ("{beats}/min", "/min"), ("mmol/L", "mmol/L"), ("1", ""), ("", ""), (None, "")],
)
def test_a_unit_is_said_as_the_ward_says_it(code: str | None, said: str) -> None:
    assert unit(code) == said


@pytest.mark.parametrize(
    ("value", "said", "people"),
    [
        (0.0, "<1 %", "fewer than 1"), (0.004, "<1 %", "fewer than 1"), (0.006, "1 %", "1"), (0.31, "31 %", "31"), (0.994, "99 %", "99"),
        (0.996, ">99 %", "more than 99"), (1.0, ">99 %", "more than 99"),
    ],
)  # fmt: skip
def test_no_risk_is_said_to_be_none_or_all(value: float, said: str, people: str) -> None:
    assert (percent(value), of_hundred(value)) == (said, people)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.22, 0.41, "22–41"), (0.001, 0.004, "<1"), (0.001, 0.012, "<1–1"), (0.006, 0.012, "1–1"), (0.001, 0.31, "<1–31"),
        (0.996, 0.999, ">99"), (0.97, 0.999, "97\u00a0–\u00a0>99"), (0.0, 1.0, "<1\u00a0–\u00a0>99"), (0.312, 0.314, "31–31"), (None, 0.4, ""), (0.2, None, ""),
    ],
)  # fmt: skip
def test_an_interval_never_runs_backwards_and_ends_at_no_certainty(low: float | None, high: float | None, said: str) -> None:
    assert interval(low, high) == said


def test_what_a_risk_speaks_of_is_a_day_once_it_is_not_of_today_or_yesterday() -> None:
    assert as_of(now()) == "now" and as_of(now() - timedelta(minutes=14)) == "14 min ago" and as_of(now() - timedelta(hours=47)) == "47 h ago"
    old = now() - timedelta(days=730)
    assert as_of(old) == f"{old:%d %b %Y}"


def test_what_there_was_none_of_leaves_no_comma() -> None:
    template = engines["django"].from_string("{% load wording %}{{ counts|counted }}")
    assert template.render({"counts": {"images": 0, "patients": 1670, "encounters": 2, "allergies": 0}}) == "patients 1,670, encounters 2"
    assert template.render({"counts": {}}) == ""
