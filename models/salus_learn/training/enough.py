"""Would more people help? The first fold's model is fitted again on some of its people and asked about the same others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.contracts import PatientSnapshot
from salus_learn.errors import TrainingError
from salus_learn.imaging.embed import Report
from salus_learn.stress.held_out import HeldOut, auroc_cell, difference_cell, held_out, risks_of
from salus_learn.training.fit import fit_model
from salus_learn.training.material import Material

SHARES = (0.25, 0.5, 0.75)
FEWEST_OF_EITHER = 6
COLUMNS = ["people who taught", "with the outcome", "AUROC on the same others", "with everybody instead: AUROC higher by, paired"]
TUNED = "Not measured: each point would tune an encoder of its own."


def more_people_part(
    full: HeldOut, material: Material, snapshots: Sequence[PatientSnapshot], inside: np.ndarray, outside: np.ndarray,
    *, seed: int, report: Report,
) -> dict[str, Any]:
    """The part `more_people` of JudgedPeople.extra: AUROC by how many people taught, with a frozen encoder or none.

    full: the people outside, with the model fitted on `inside`. People are added in one random order, drawn from the seed.
    """
    order = np.random.default_rng(seed).permutation(np.unique(material.persons[inside]))
    whole, known = risks_of(full.scored()), np.isfinite(full.y)
    rows: list[list[Any]] = []
    for at, share in enumerate(SHARES):
        report(at / len(SHARES), f"a model of {share:.0%} of the people")
        some = inside[np.isin(material.persons[inside], order[: max(1, round(share * len(order)))])]
        if np.bincount(material.y[some], minlength=2).min() < FEWEST_OF_EITHER:
            continue  # so few people make no model, which says enough
        try:
            model = fit_model(material, some, seed=seed)
        except TrainingError:
            continue
        asked = held_out(model, snapshots, material.readings, material.prepared, material.target, material.persons, outside)
        p = risks_of(asked.scored())
        both = known & np.isfinite(p) & np.isfinite(whole)
        area = auroc_cell(full.y[both], p[both], full.persons[both])
        gain = difference_cell(full.y[both], whole[both], p[both], full.persons[both])
        rows.append([len(np.unique(material.persons[some])), int(material.y[some].sum()), area, gain])
    spoken = known & np.isfinite(whole)
    last = auroc_cell(full.y[spoken], whole[spoken], full.persons[spoken])
    everybody = [len(order), int(material.y[inside].sum()), last, "–"]
    return {"note": _note(rows), "columns": COLUMNS, "rows": [*rows, everybody]}


def _note(rows: list[list[Any]]) -> str:
    """Whether the last quarter of the people still bought something."""
    if not rows or not isinstance(rows[-1][3], dict) or rows[-1][3].get("low") is None:
        return "Too few people to say whether more would help."
    gain = rows[-1][3]
    low, high = (f"{gain[end]:+.3f}".replace("-", "−") for end in ("low", "high"))
    if gain["low"] > 0:
        return f"The last quarter of the people still helped (AUROC {low} to {high}, paired): more people would probably help."
    return f"The last quarter of the people bought nothing that is shown (AUROC {low} to {high}, paired)."
