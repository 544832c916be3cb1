"""Makes a small folder of eyes: several rows a person, a grade that is empty where nothing was found, and its task file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

# “x” is another finding: a word of neither list.
EYES = """
[task]
id = "eyes"
title = "Illness of the eyes"
[outcome]
label = "ill"
column = "grade"
positive = ["1", "2", "3"]
negative = [""]
[outcome.kinds]
"Mild" = ["1"]
"Severe" = ["3", "2"]
[cases]
table = "eyes.csv"
patient = "person"
case = "eye"
one_case_per = "patient"
missing = ["", "?"]
[threshold]
rule = "youden"
[[feature]]
name = "age_years"
label = "Age"
unit = "a"
column = "age"
[[feature]]
name = "sex"
label = "Sex"
kind = "category"
column = "sex"
[[image]]
name = "fundus"
label = "Fundus photograph"
modality = "OP"
body_part = "EYE"
column = "photo"
folder = "photos"
flips = true
"""
COLUMNS = ("person", "eye", "age", "sex", "photo", "grade")
PER_EYE = EYES.replace('one_case_per = "patient"\n', "")


def eye(person: str, side: str, grade: str, **cells: str) -> dict[str, str]:
    """One row: an eye of a person of 60 with a photograph of its own."""
    return {"person": person, "eye": f"{person}-{side}", "age": "60", "sex": "f", "photo": f"{person}-{side}.png", "grade": grade} | cells


def make_eyes(folder: Path, rows: Sequence[dict[str, str]] | None = None, *, task: str = EYES) -> Path:
    """Write task.toml, eyes.csv and photos/*.png. Without rows: twelve people with two eyes each, half of them ill in one or both."""
    chosen = list(rows) if rows is not None else some_people()
    (folder / "photos").mkdir(parents=True)
    (folder / "task.toml").write_text(task)
    with (folder / "eyes.csv").open("w", newline="") as stream:
        table = csv.DictWriter(stream, COLUMNS)
        table.writeheader()
        table.writerows(chosen)
    rng = np.random.default_rng(7)
    for row in chosen:
        if row["photo"]:
            pixels = rng.normal(90, 18, (48, 48, 3))
            pixels[8:24, 20:36] += 60 * (row["grade"] in {"1", "2", "3"})
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / "photos" / row["photo"])
    return folder


def some_people(people: int = 12) -> list[dict[str, str]]:
    """Two eyes each, right before left. Of the ill every second is ill in one eye only, where the other shows something else."""
    found = []
    for number in range(people):
        ill = number % 2
        right, left = (str(1 + number % 3), ("x", "2")[number // 2 % 2]) if ill else ("", "")
        person = f"p{number}"
        found += [eye(person, "right", right, age=str(50 + number)), eye(person, "left", left, age=str(50 + number))]
    return found
