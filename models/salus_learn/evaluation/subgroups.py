"""Figures by subgroup, and whether the 90 % sets keep their promise, with a guard for small groups."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from salus_learn.evaluation.figures import (
    auroc_by_person,
    by_person,
    calibration_intercept,
    figure,
    operating_figures,
    resampled,
)
from salus_learn.evaluation.judged import JudgedPeople
from salus_learn.evaluation.metrics import brier, proportion_by_person, proportion_wilson
from salus_learn.evaluation.within import how_paired

LEAST_PEOPLE = 50
LEAST_EVENTS = 11
TOO_FEW = "too few to judge"
PROMISE = 0.9
LEAST_SHOWN = 11
_LEADING = re.compile(r"\d+(?:\.\d+)?")


def judgeable(y: np.ndarray, persons: np.ndarray) -> bool:
    """Whether a group may have a number: at least 50 people, 11 with a case of the outcome and 11 with one without.

    y: (n,) 0 and 1; persons: (n,)."""
    fewest = min(len(np.unique(persons[y == outcome])) for outcome in (0, 1))
    return len(np.unique(persons)) >= LEAST_PEOPLE and fewest >= LEAST_EVENTS


def subgroup_figures(judged: JudgedPeople) -> list[dict[str, Any]]:
    """For the fused risk, per group and value: n, events and figures, or the guard's words and no figure (counts
    of under eleven people are None)."""
    rows, known = [], judged.known("fused")
    for name, words in judged.groups.items():
        for word in sorted(set(words[known].tolist()), key=_order):
            inside = known & (words == word)
            rows.append({"group": name, "value": word or "not recorded"} | _row(judged, inside))
    return rows


def _order(word: str) -> tuple[bool, float, str]:
    """Numbers by size (“48 h” before “120 h”), then words, then what was not recorded."""
    number = _LEADING.match(word)
    return word == "", float(number.group()) if number else np.inf, word


def _row(judged: JudgedPeople, inside: np.ndarray) -> dict[str, Any]:
    y, p, persons = judged.y[inside], judged.probabilities["fused"][inside], judged.persons[inside]
    n, events = len(y), int(y.sum())
    if not judgeable(y, persons):
        # those without the outcome are a group too
        told = None if _shown(n - events, persons[y == 0]) is None else _shown(events, persons[y == 1])
        return {"n": _shown(n, persons), "events": told, "state": TOO_FEW}
    by, folds = by_person(persons), judged.folds_of(inside)
    operating = operating_figures(y, judged.flagged["fused"][inside], persons)
    intercept = resampled(calibration_intercept, y, p, persons, 200)
    return {
        "n": n, "events": events, "state": "computed",
        "auroc": figure(auroc_by_person(y, p, persons, folds), n, f"DeLong{how_paired(folds)}{by}"),
        "sensitivity": operating["sensitivity"], "specificity": operating["specificity"],
        "brier": figure(brier(y, p, persons), n, f"normal{by}"),
        "calibration_intercept": figure(intercept, n, "bootstrap"),
        "coverage": _coverage(judged, inside), "abstained": _abstained(judged, inside),
    }  # fmt: skip


def _shown(count: int, persons: np.ndarray) -> int | None:
    """A count of cases of a small group, None where they are of under eleven people: so few could be known by name."""
    return count if len(np.unique(persons)) >= LEAST_SHOWN else None


def coverage_report(judged: JudgedPeople) -> dict[str, Any]:
    """How often the 90 % set holds what came: overall and by outcome, how large the sets are, how often it abstains.

    Conformal sets by class: Vovk 2012. Wilson's intervals; each over its own n."""
    known = judged.known("fused")
    sizes = judged.sets[known].sum(axis=1)
    n = int(known.sum())
    return {
        "promise": PROMISE,
        "overall": _coverage(judged, known),
        "with_outcome": _coverage(judged, known & (judged.y == 1)),
        "without_outcome": _coverage(judged, known & (judged.y == 0)),
        "sizes": {
            word: figure(proportion_wilson(int((sizes == size).sum()), n), n, "Wilson")
            for size, word in ((1, "one answer"), (2, "both answers"), (0, "neither answer"))
        },
        "abstained": _abstained(judged, known),
        "interval_width": _width(judged, known),
    }


def _coverage(judged: JudgedPeople, inside: np.ndarray) -> dict[str, Any]:
    kept = judged.sets[inside][np.arange(int(inside.sum())), judged.y[inside].astype(int)]
    return _share(kept, judged.persons[inside])


def _abstained(judged: JudgedPeople, inside: np.ndarray) -> dict[str, Any]:
    return _share(judged.abstained[inside], judged.persons[inside])


def _share(hit: np.ndarray, persons: np.ndarray) -> dict[str, Any]:
    return figure(proportion_by_person(hit, persons), len(hit), f"Wilson{by_person(persons)}")


def _width(judged: JudgedPeople, inside: np.ndarray) -> dict[str, Any]:
    """Median width of the fused 90 % interval; low and high are the middle half of people, not a 95 % interval."""
    widths = (judged.interval_high - judged.interval_low)[inside]
    widths = widths[np.isfinite(widths)]
    if not widths.size:
        return figure((float("nan"),) * 3, 0, "quartiles", "not measured: no interval was given")
    middle, low, high = np.quantile(widths, (0.5, 0.25, 0.75))
    return figure((float(middle), float(low), float(high)), len(widths), "quartiles")
