"""How values are said to people: no code of a standard, no comma after the last word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.template import engines
from salus_web.common.clock import now
from salus_web.dashboard.pages.numbers import interval, measured, of_hundred, percent
from salus_web.dashboard.pages.wording import ago, as_of, unit


@pytest.mark.parametrize(
    ("code", "said"),
    [("mm[Hg]", "mmHg"), ("{score}", ""), ("10*3/uL", "×10³/µL"), ("{beats}/min", "/min"), ("mmol/L", "mmol/L"), ("1", ""), ("", ""), (None, ""),
     ("/uL", "/µL"), ("m[IU]/L", "mIU/L"), ("u[IU]/mL", "µIU/mL"), ("umol/L", "µmol/L"), ("ug/L", "µg/L"), ("10*6/uL", "×10⁶/µL"), ("10*12/L", "×10¹²/L"), ("Cel", "°C"), ("fL", "fL")],
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
    ("value", "said"),
    [
        (80.0, "80"), (5.25, "5.25"), (-3.2, "-3.2"), (0.0, "0"), (4e-05, "0.00004"), (1.25e6, "1\u202f250\u202f000"), (140_000.0, "140\u202f000"), (9_500.0, "9500"),
        (-125_000.5, "-125\u202f000.5"), (7.123456789, "7.123456789"), (0.1 + 0.2, "0.3"),
    ],
)  # fmt: skip
def test_a_measured_value_is_said_in_plain_decimals(value: float, said: str) -> None:
    assert measured(value) == said


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


def test_what_lies_ahead_is_not_now() -> None:
    assert ago(now() + timedelta(seconds=50)) == "now" == as_of(now() + timedelta(seconds=50)), "two clocks are never quite alike"
    assert ago(now() + timedelta(minutes=200)) == "in 3 h, if the clock is right" == as_of(now() + timedelta(minutes=200))
    assert ago(now() + timedelta(days=9000, hours=1)) == "in 9000 d, if the clock is right"


def test_what_there_was_none_of_leaves_no_comma() -> None:
    template = engines["django"].from_string("{% load wording %}{{ counts|counted }}")
    assert template.render({"counts": {"images": 0, "patients": 1670, "encounters": 2, "allergies": 0}}) == "patients 1,670, encounters 2"
    assert template.render({"counts": {}}) == ""
