"""A folder of cases whose answer lies in the outline of what is marked on each scan, and in nothing else."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from tests.factories.cases import HEAD

MARKED_TASK = f"""
{HEAD.replace("tiny", "marked")}
[[feature]]
name = "tall"
label = "Height over width"
region = "scan"
measure = "height_over_width"
[[feature]]
name = "smooth"
label = "Smoothness of the outline"
region = "scan"
measure = "solidity"
[[feature]]
name = "age_years"
label = "Age"
unit = "a"
column = "age"
[[image]]
name = "scan"
label = "Scan"
modality = "US"
column = "scan"
folder = "scans"
region_column = "mask"
region_folder = "masks"
"""
SIDE = 96


def make_marked(folder: Path, *, people: int = 60, seed: int = 8) -> Path:
    """Write task.toml, cases.csv, scans/*.png (noise) and masks/*.png: a disc, or a star of four points where ill, which is as tall as it is wide."""
    rng = np.random.default_rng(seed)
    for name in ("scans", "masks"):
        (folder / name).mkdir(parents=True)
    (folder / "task.toml").write_text(MARKED_TASK)
    down, across = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    angle, far = np.arctan2(down, across), np.hypot(down, across)
    with (folder / "cases.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["person", "case", "age", "scan", "mask", "ill"])
        for number in range(people):
            ill = number % 2
            edge = 26 + rng.normal(0, 3) + ill * rng.normal(9, 2) * np.cos(4 * (angle + rng.uniform(0, 6)))
            Image.fromarray(far <= edge).save(folder / "masks" / f"m{number}.png")
            scan = np.clip(rng.normal(90, 18, (SIDE, SIDE)), 0, 255).astype(np.uint8)
            Image.fromarray(scan).save(folder / "scans" / f"s{number}.png")
            age = f"{rng.normal(55, 9):.0f}"
            table.writerow([f"p{number}", number, age, f"s{number}.png", f"m{number}.png", "yes" if ill else "no"])
    return folder
