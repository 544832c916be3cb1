"""Makes a small folder of cases with a planted signal in the record and in the image, and its task file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

HEAD = """
[task]
id = "tiny"
title = "A tiny task"
[outcome]
label = "ill"
column = "ill"
positive = ["yes"]
negative = ["no"]
[cases]
table = "cases.csv"
patient = "person"
case = "case"
missing = ["", "unknown"]
[threshold]
rule = "youden"
"""
TASK = f"""
never = ["answer_sheet"]
{HEAD}
[[feature]]
name = "age_years"
label = "Age"
unit = "a"
column = "age"
low = 0
high = 120
[[feature]]
name = "sex"
label = "Sex"
kind = "category"
column = "sex"
levels = ["f", "m"]
[[feature]]
name = "signs"
label = "Signs"
kind = "flags"
column = "signs"
separator = "&"
[[image]]
name = "film"
label = "Film"
modality = "DX"
column = "film"
folder = "films"
region_column = "box"
"""


def make_cases(folder: Path, *, people: int = 40, seed: int = 3) -> Path:
    """Write task.toml, cases.csv and films/*.png. Every fifth case has no film, every seventh no age."""
    rng = np.random.default_rng(seed)
    (folder / "films").mkdir(parents=True)
    (folder / "task.toml").write_text(TASK)
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "age", "sex", "signs", "film", "box", "ill", "answer_sheet"])
        for number in range(people):
            ill = number % 2
            film = "" if number % 5 == 4 else f"c{number}.png"
            age = "unknown" if number % 7 == 6 else f"{50 + 14 * ill + rng.normal(0, 9):.0f}"
            signs = "cough&fever" if ill and rng.random() < 0.6 else "none"
            if film:
                _film(folder / "films" / film, ill, rng)
            sex = "fm"[int(rng.integers(2))]
            table.writerow([f"p{number}", number, age, sex, signs, film, "", "yes" if ill else "no", ill])
    return folder


def _film(path: Path, ill: int, rng: np.random.Generator) -> None:
    """Noise with a bright patch, in the lower left where ill."""
    pixels = rng.normal(90, 18, (64, 64))
    if ill or rng.random() < 0.2:
        pixels[36:56, 8:28] += 70
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
