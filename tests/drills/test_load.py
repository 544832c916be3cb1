"""A few people at every page for some seconds, one beside them who means harm: no error, and the log holds exactly the lines
that their answers owed. Nothing is said of time here; `./salus drill load` does that with 50 people for five minutes.
"""

from __future__ import annotations

import copy
import os

import pytest

from tests.drills.load import judged, lines, run
from tests.drills.load_house import locust, small_house

pytestmark = [pytest.mark.drill, pytest.mark.slow]
PEOPLE, SECONDS, PAUSE = 5, 24, "0.5-1"


def test_few_people_and_one_who_means_harm() -> None:
    if locust() is None and not os.environ.get("CI"):
        pytest.skip("locust is not installed; ./salus test --all installs it in an environment of its own")
    with small_house() as house:
        found = run(house, PEOPLE, SECONDS, hostile=True, pause=PAUSE)
    for name in ("plain", "hostile"):
        assert found[name]["errors"] == 0, found[name]["first_errors"]
        assert found[name]["audit"]["wrong"] == 0 and found[name]["audit"]["whole"], found[name]["audit"]
        assert found[name]["audit"]["owed"] > PEOPLE * 5 and found[name]["clicks"]["n"] > PEOPLE, "too little was done to prove anything"
    assert {"worklist", "audit", "operations", "cohorts"} <= set(found["plain"]["opened"])
    assert sum(found["hostile"]["harm"]["stranger"].values()) > 0


def test_a_line_too_few_or_too_many_is_found() -> None:
    found = {
        "seen": [(10.0, "worklist", 80.0, ""), (9.0, "sign in: code", 200.0, ""), (10.5, "patient", 20.0, "500 ")], "started": 9.5, "harm": {}, "unclear": {},
        "owed": {"a": {"patient.read done": 2}}, "held": {"lines": {"a": {"patient.read done": 2}}, "code": 0},
    }  # fmt: skip
    assert lines(found)["wrong"] == 0 and judged(found)["errors"] == 1 and judged(found)["clicks"]["n"] == 2
    unclear = copy.deepcopy(found) | {"unclear": {"a": {"patient.read done": 1}}}
    for number, wrong in ((2, 0), (3, 0), (1, 1), (4, 1)):
        unclear["held"]["lines"]["a"]["patient.read done"] = number
        assert lines(unclear)["wrong"] == wrong, "a lost answer owed a line or none"
    for act, number in (("patient.read done", 1), ("patient.read done", 3), ("image.read done", 1)):
        other = copy.deepcopy(found)
        other["held"]["lines"]["a"][act] = number
        assert lines(other)["wrong"] == 1, act
