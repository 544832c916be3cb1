"""What showing the encoder varied pictures bought: one fold tuned again on the pictures as they are, and both compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from salus_learn.contracts import Case
from salus_learn.evaluation.figures import auroc_by_person, auroc_difference, figure
from salus_learn.imaging.embed import Report
from salus_learn.imaging.tune import Pixels
from salus_learn.training.material import Material
from salus_learn.training.tuning import tuned_material


def without_variants(
    material: Material,
    pixels: Pixels,
    cases: Sequence[Case],
    inside: np.ndarray,
    outside: np.ndarray,
    varied: np.ndarray,
    *,
    seed: int,
    report: Report,
) -> list[list[Any]]:
    """Rows under the columns of the part `augmentation`: AUROC of the image judge on the people outside one fold, tuned
    with variants and without, and the difference, paired.

    material: before tuning, of all cases; varied (len(outside),): the image margins of the fold's own model, tuned with
    this seed on `inside`, NaN without an image. Same people, teachers, passes and seed; it takes as long as a fold.
    """
    tuned, _ = tuned_material(material, replace(pixels, varied=False), cases, inside, seed=seed, report=report)
    assert tuned.tuned_head is not None and tuned.prepared is not None
    fixed = tuned.tuned_head.margins(tuned.prepared, outside)
    return ablation_rows(material.y[outside], material.persons[outside], varied, fixed)


def ablation_rows(
    y: np.ndarray, persons: np.ndarray, varied: np.ndarray, fixed: np.ndarray
) -> list[list[Any]]:
    """The three rows from margins (n,) with variants and without, NaN where there is no image; y (n,) 0 and 1; persons (n,)."""
    on = np.isfinite(varied) & np.isfinite(fixed)
    y, persons, varied, fixed = y[on], persons[on], varied[on], fixed[on]
    n = len(y)
    difference = figure(auroc_difference(y, varied, fixed, persons), n, "DeLong, paired, by person")
    return [
        [
            "AUROC of the image judge, tuned with variants",
            _area(y, varied, persons),
            "on the people outside one fold",
        ],
        [
            "AUROC of the image judge, tuned without",
            _area(y, fixed, persons),
            "the same people, teachers and passes",
        ],
        ["what the variants bought: the difference, paired", difference, _verdict(difference)],
    ]


def _area(y: np.ndarray, margins: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    return figure(auroc_by_person(y, margins, persons), len(y), "DeLong, by person")


def _verdict(difference: dict[str, Any]) -> str:
    if difference["low"] is None or difference["low"] <= 0 <= difference["high"]:
        return "no difference is shown"
    return "the variants helped" if difference["low"] > 0 else "the variants did harm"
