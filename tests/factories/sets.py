"""A small data set of a record only, for the benchmark, and people with a time to an event."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from salus_learn.features.target import Target

from tests.factories.cases import TASK

RECORD_ONLY = TASK[: TASK.index("[[image]]")].replace('id = "tiny"', 'id = "TASK"').replace('never = ["answer_sheet"]\n', "")


def write_set(data: Path, tasks: Path, name: str, *, people: int = 24, text: str = RECORD_ONLY) -> None:
    """A data set of two cases a person, and its task file of the same name."""
    rng = np.random.default_rng(5)
    (data / name).mkdir(parents=True)
    tasks.mkdir(parents=True, exist_ok=True)
    (tasks / f"{name}.toml").write_text(text.replace("TASK", name))
    with (data / name / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "age", "sex", "signs", "film", "box", "ill"])
        for number in range(2 * people):
            ill = (number // 2) % 2
            age = "unknown" if number % 7 == 6 else f"{55 + 5 * ill + rng.normal(0, 9):.0f}"
            signs = ["none", "cough", "cough&fever"][int(rng.integers(3))]
            table.writerow([f"p{number // 2}", number, age, "fm"[number % 2], signs, "", "", "yes" if ill else "no"])


def timed(n: int, seed: int = 1) -> tuple[Target, np.ndarray]:
    """People whose hazard grows with x, some lost before their outcome."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    time, lost = rng.exponential(300 / np.exp(x)), rng.uniform(50, 900, n)
    return Target((time <= lost).astype(int), np.ceil(np.minimum(time, lost) / 5) * 5), x
