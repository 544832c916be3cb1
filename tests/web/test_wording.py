"""How values are said to people: no code of a standard, no comma after the last word."""

from __future__ import annotations

import pytest
from django.template import engines
from salus_web.dashboard.pages.wording import unit


@pytest.mark.parametrize(
    ("code", "said"),
    [("mm[Hg]", "mmHg"), ("{score}", ""), ("10*3/uL", "×10³/µL"), ("{beats}/min", "/min"), ("mmol/L", "mmol/L"), ("1", ""), ("", ""), (None, "")],
)
def test_a_unit_is_said_as_the_ward_says_it(code: str | None, said: str) -> None:
    assert unit(code) == said


def test_what_there_was_none_of_leaves_no_comma() -> None:
    template = engines["django"].from_string("{% load wording %}{{ counts|counted }}")
    assert template.render({"counts": {"images": 0, "patients": 1670, "encounters": 2, "allergies": 0}}) == "patients 1,670, encounters 2"
    assert template.render({"counts": {}}) == ""
