"""The report's part on ways to fuse: the figures of each on the same people, and which won, in words."""

from __future__ import annotations

from typing import Any

import numpy as np

from salus_learn.evaluation.figures import auroc_by_person, auroc_difference, figure
from salus_learn.evaluation.metrics import brier, calibration_slope
from salus_learn.evaluation.within import how_paired

ADDITIVE = "additive (the one served)"
WORDS = {
    "early": "early (image margin into the trees)",
    "joint": "joint (gated network)",
    "mean": "mean of the single judges",
}
SINGLE_WORDS = {"line": "the record's line", "trees": "the record's trees", "image": "the image"}
COLUMNS = [
    "way to fuse", "people", "AUROC", "Brier score", "calibration slope", "AUROC, additive minus this (above 0: additive better)",
]  # fmt: skip


def chairs_part(
    y: np.ndarray,
    persons: np.ndarray,
    fused: np.ndarray,
    rivals: dict[str, np.ndarray],
    singles: dict[str, np.ndarray],
    *,
    folds: np.ndarray,
    remark: str = "",
) -> dict[str, Any]:
    """The part `chairs` of JudgedPeople.extra, on the people for whom every way has a risk.

    y (n,) of 0 and 1; persons (n,); fused (n,) the additive chair's risks in [0, 1], NaN where silent; rivals and singles:
    name (of WORDS, of SINGLE_WORDS) -> (n,) risks; folds (n,), outside which the risks were fitted. Only a note where there is no AUROC to compare.
    """
    on = np.isfinite(fused) & np.all([np.isfinite(p) for p in rivals.values()], axis=0)
    y, persons, fused, folds = y[on], persons[on], fused[on], folds[on]
    if min((y == 1).sum(), (y == 0).sum()) < 2:
        return {"note": "There are fewer than two people with or without the outcome to compare on."}
    known = {name: p[on] for name, p in rivals.items()}
    differences = {name: _difference(y, fused, p, persons, folds) for name, p in known.items()}
    rows = [[ADDITIVE, *_figures(y, fused, persons, folds), "–"]]
    rows += [[WORDS[name], *_figures(y, p, persons, folds), differences[name]] for name, p in known.items()]
    areas = {WORDS[name]: row[2]["value"] for name, row in zip(known, rows[1:], strict=True)}
    sentences = [f"{len(y)} people whom none of them had seen, {int(y.sum())} with the outcome."]
    sentences += [
        _won({ADDITIVE: rows[0][2]["value"]} | areas),
        *(_against(WORDS[name], one) for name, one in differences.items()),
    ]
    alone, single = _fusing(y, fused, {name: p[on] for name, p in singles.items()}, persons, folds)
    return {
        "note": " ".join(part for part in [*sentences, alone, remark] if part),
        "columns": COLUMNS,
        "rows": rows + single,
    }


def _figures(y: np.ndarray, p: np.ndarray, persons: np.ndarray, folds: np.ndarray) -> list[Any]:
    """n, AUROC, Brier score and calibration slope, each with its interval."""
    n = len(y)
    slope = calibration_slope(y, p, persons)
    undone = "not computable: it separates the outcomes perfectly, or not at all"
    return [
        n,
        figure(auroc_by_person(y, p, persons, folds), n, f"DeLong{how_paired(folds)}, by person"),
        figure(brier(y, p, persons), n, "normal, by person") | {"figure": "brier"},
        figure(slope, n, "bootstrap", undone) | {"figure": "calibration_slope"},
    ]


def _difference(
    y: np.ndarray, fused: np.ndarray, p: np.ndarray, persons: np.ndarray, folds: np.ndarray
) -> dict[str, Any]:
    return figure(auroc_difference(y, fused, p, persons, folds), len(y), f"DeLong, paired{how_paired(folds)}, by person")


def _won(areas: dict[str, float]) -> str:
    """Who stands highest, before asking whether it is shown to."""
    first = max(areas, key=lambda name: areas[name])
    return f"Highest AUROC here: {first}, {areas[first]:.3f}."


def _against(name: str, difference: dict[str, Any]) -> str:
    """What the interval carries, and no more."""
    if difference["low"] is None or difference["low"] <= 0 <= difference["high"]:
        return f"Additive and {name}: no difference is shown ({_span(difference)})."
    if difference["low"] > 0:
        return f"Additive is better than {name} ({_span(difference)})."
    return f"{name[0].upper()}{name[1:]} is better than additive ({_span(difference)})."


def _span(difference: dict[str, Any]) -> str:
    """A signed difference with its interval and a true minus sign."""
    if difference["low"] is None:
        return "interval not computable"
    value, low, high = (f"{difference[key]:+.3f}".replace("-", "−") for key in ("value", "low", "high"))
    return f"{value}, 95 % {low} to {high}"


def _fusing(
    y: np.ndarray, fused: np.ndarray, singles: dict[str, np.ndarray], persons: np.ndarray, folds: np.ndarray
) -> tuple[str, list[list[Any]]]:
    """Whether fusing was worth it at all, against the best judge alone, on the people for whom every judge speaks.

    The best is chosen here, on these people, which flatters it a little: in doubt against fusing.
    """
    on = np.all([np.isfinite(p) for p in singles.values()], axis=0)
    y, fused, persons, folds = y[on], fused[on], persons[on], folds[on]
    if min((y == 1).sum(), (y == 0).sum()) < 2:
        return "Too few have both record and image to say whether fusing itself helps.", []
    known = {name: p[on] for name, p in singles.items()}
    best = max(known, key=lambda name: auroc_by_person(y, known[name], persons, folds)[0])
    difference, alone = _difference(y, fused, known[best], persons, folds), f"{SINGLE_WORDS[best]} alone"
    row = [f"not fused: {alone}, the best judge", *_figures(y, known[best], persons, folds), difference]
    tail = f"{_span(difference)}, {len(y)} people with record and image"
    if difference["low"] is None or difference["low"] <= 0 <= difference["high"]:
        return f"Fusing itself is not shown to help: against {alone} no difference is shown ({tail}).", [row]
    if difference["low"] > 0:
        return f"Fusing helps: better than {alone} ({tail}).", [row]
    return f"Fusing does not help: {alone} is better ({tail}).", [row]
