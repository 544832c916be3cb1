"""What image files betray by themselves: size, shape, border, how they were saved. Nothing of what is pictured in the middle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from salus_learn.leaks.alone import auroc_by_person, by_numbers, enough, person_folds
from salus_learn.leaks.finding import Finding

FILE_SOURCE, FILE_LOW = 0.65, 0.55
# facts that also follow what is pictured: a swollen lung is saved in other bytes, an eye fills its border
CONTENT, PICTURED = (3, 4, 6), " Look at some: it may also be what is pictured."
FACTS = ("height", "width", "shape", "brightness of the border", "evenness of the border", "grey or colour file", "bytes per pixel", "JPEG quality")


def file_facts(path: Path, pixels: np.ndarray) -> list[float]:
    """The eight FACTS of an image file with pixels (H, W) or (H, W, 3), any integer depth."""
    height, width = pixels.shape[:2]
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    border = np.concatenate([grey[:4].ravel(), grey[-4:].ravel(), grey[:, :4].ravel(), grey[:, -4:].ravel()])
    grey_file, tables = _saved_as(path, pixels)
    # A JPEG's first table divides the brightness: the larger its numbers, the coarser the file. Other files have none.
    coarse = float(np.mean(tables[0])) if 0 in tables else 0.0
    dense = float(np.log(max(1, path.stat().st_size) / (height * width)))
    return [float(np.log(height)), float(np.log(width)), width / height, float(border.mean()), float(border.std()), grey_file, dense, coarse]


def _saved_as(path: Path, pixels: np.ndarray) -> tuple[float, dict[int, list[int]]]:
    """Whether the file is grey (1 or 0), and its JPEG tables by number. What Pillow does not know is a DICOM object."""
    try:
        with Image.open(path) as image:
            return float(image.mode in {"L", "I", "I;16"}), getattr(image, "quantization", None) or {}
    except UnidentifiedImageError:
        return float(pixels.ndim == 2), {}


def betrayed(table: str, facts: np.ndarray, y: np.ndarray, people: np.ndarray) -> list[Finding]:
    """Whether the facts (n, 8) of files predict the outcome y (n,) of 0 and 1 on other people (n,)."""
    if not enough(y):
        return []
    fold, risk = person_folds(y, people), np.full(len(y), y.mean())
    for test in (fold == one for one in range(fold.max() + 1)):
        if 0 < y[~test].sum() < (~test).sum():
            model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=1000)).fit(facts[~test], y[~test])
            risk[test] = model.predict_proba(facts[test])[:, 1]
    figure = auroc_by_person(y, risk, people)
    if not (figure[0] >= FILE_SOURCE and figure[1] > FILE_LOW):
        return []
    single = [by_numbers(facts[:, at], y, people) for at in range(len(FACTS))]
    best = max(range(len(FACTS)), key=lambda at: (single[at] or (0.0,))[0])
    sentence = (
        f"The files alone (size, shape, border, how they were saved) predict the outcome (AUROC {figure[0]:.2f}, 95 % interval "
        f"{figure[1]:.2f} to {figure[2]:.2f}; most by {FACTS[best]}, {(single[best] or figure)[0]:.2f}): images of the two groups may come from "
        f"different sources.{PICTURED if best in CONTENT else ''}"
    )
    return [Finding("source_predicts_outcome", "warns", table, ("image file",), (), len(y), len(y), sentence, figure)]
