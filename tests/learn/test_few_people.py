"""Many cases of few people: training ends in words, or trains; it never ends in another library's error."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from salus_learn.errors import TrainingError
from salus_learn.tasks.cases import read_cases
from salus_learn.tasks.loader import task_from_text
from salus_learn.training.train import train

TASK = """
[task]
id = "few"
title = "Few people"
[outcome]
label = "ill"
column = "ill"
positive = ["1"]
negative = ["0"]
[cases]
table = "cases.csv"
patient = "person"
case = "case"
[[feature]]
name = "a"
column = "a"
"""


def asked(folder: Path, ill: list[tuple[str, int]], well: int = 30) -> None:
    """Train on so many well people with one case each, and on ill people with several."""
    rng, number = np.random.default_rng(0), 0
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "a", "ill"])
        for person, cases, label in [*((f"p{at}", 1, 0) for at in range(well)), *((name, times, 1) for name, times in ill)]:
            for _ in range(cases):
                number += 1
                table.writerow([person, number, round(rng.normal() + label, 3), label])
    task = task_from_text(TASK)
    train(task, read_cases(task, folder), folder / "bundle", repeats=1, folds=3)


@pytest.mark.parametrize("people", [1, 2, 3])
def test_thirty_cases_of_three_people_are_three_people(tmp_path: Path, people: int) -> None:
    with pytest.raises(TrainingError, match=f"Only {people} people of one outcome: at least 4 of each are needed"):
        asked(tmp_path, [(f"q{at}", 30 // people) for at in range(people)])


@pytest.mark.parametrize("ill", [[(f"q{at}", 5) for at in range(4)], [("q0", 40), ("q1", 1), ("q2", 1), ("q3", 1)]], ids=["even", "uneven"])
def test_four_people_are_trained_on_or_refused_in_words(tmp_path: Path, ill: list[tuple[str, int]]) -> None:
    try:
        asked(tmp_path, ill)
    except TrainingError as refused:
        assert "people" in str(refused)
