"""What the model is worth when a part of the patient is missing: the image, the whole record, or one feature at a time.

Values are taken out of the snapshot and everything is read again, so that the chair for what is left speaks, as it
would for a real patient. Each row is of the people from whom something was taken and who then still have a risk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from salus_learn.contracts import FeatureSpec, Part, PatientSnapshot, RiskResult
from salus_learn.evaluation.subgroups import LEAST_SHOWN
from salus_learn.features.readings import NOTHING, Reading, belongs, read_features
from salus_learn.stress.held_out import (
    HeldOut,
    abstains,
    auroc_cell,
    can_be_ranked,
    difference_cell,
    drawn,
    risks_of,
)

MOST_FEATURES = 8
MOST_PEOPLE = 1000
COLUMNS = [
    "taken away", "people it was taken from", "AUROC with it", "AUROC without it", "change of AUROC",
    "no risk without it", "abstains with it", "abstains without it",
]  # fmt: skip
NOT_RANKED = (
    "There are fewer than two people with or without the outcome at the horizon, so there is no AUROC."
)


def missing_part(held: HeldOut, *, seed: int) -> dict[str, Any]:
    """The report's part `missing_modality`, on at most 1000 people of known outcome; only a note where it does not apply."""
    known = np.flatnonzero(np.isfinite(held.y))
    held = held.take(known[drawn(held.y[known], MOST_PEOPLE, seed)])
    if not can_be_ranked(held.y):
        return {"note": NOT_RANKED}
    if held.model.line is None:
        return {"note": "The model reads images only, so no part can be taken away."}
    full = held.scored()
    rows: list[list[Any] | None] = [_everything(held, full)]
    if held.model.head is not None and held.prepared is not None:
        rows += [
            _row("the image", held, full, _imageless(held)),
            _row("the whole record", held, full, _blanked(held, None)),
        ]
    singles = _most_used(held, full)
    for label, specs in singles:
        rows.append(_row(label, held, full, _blanked(held, specs)))
    return {
        "note": _note(held, len(singles)),
        "columns": COLUMNS,
        "rows": [row for row in rows if row is not None],
    }


def _note(held: HeldOut, singles: int) -> str:
    note = (
        f"{len(held.y)} people whom the model has not seen. Each row compares the same people with and without the part: those who "
        f"had it and who have a risk either way, abstained or not. A part that fewer than {LEAST_SHOWN} people had is left out."
    )
    if singles:
        note += f" Single features are the most used, {MOST_FEATURES} at most."
    always = [spec.label for spec in held.model.task.features if spec.name in held.model.always_there]
    if always:
        note += (
            f" Next to nobody who taught lacked: {', '.join(always)}. Where one of these is missing the model keeps its answer to "
            "itself, unless the answer would be the same with the values of patients like this one."
        )
    if any(spec.aggregation == "count" for spec in held.model.task.features):
        note += (
            " A diagnosis or medicine that is not recorded reads as “no”, for the model as in a real record."
        )
    return note


def _everything(held: HeldOut, full: Sequence[RiskResult]) -> list[Any]:
    """The first row: nothing is taken away."""
    p = risks_of(full)
    there = np.isfinite(p)
    area = auroc_cell(held.y[there], p[there], held.persons[there])
    quiet = sum(map(abstains, full))
    return [
        "nothing",
        "–",
        area,
        area,
        "–",
        f"{int((~there).sum())} of {len(p)}",
        f"{quiet} of {int(there.sum())}",
        "–",
    ]


def _imageless(held: HeldOut) -> HeldOut:
    """Nobody has an image, and so nothing that is measured on one."""
    measures = [spec for spec in held.model.task.features if spec.region]
    return replace(
        held, snapshots=tuple(replace(one, images=()) for one in held.snapshots), prepared=None,
        readings=_unmeasured(held, held.readings, measures),
    )  # fmt: skip


def _blanked(held: HeldOut, specs: Sequence[FeatureSpec] | None) -> HeldOut:
    """Everybody without what these features read; without any recorded value where None is given."""
    snapshots = tuple(_without(one, specs) for one in held.snapshots)
    readings = tuple(read_features(held.model.task, one) for one in snapshots)
    gone = held.model.task.features if specs is None else specs
    return replace(held, snapshots=snapshots, readings=_unmeasured(held, readings, [spec for spec in gone if spec.region]))


def _unmeasured(
    held: HeldOut, readings: Sequence[tuple[Reading, ...]], measures: Sequence[FeatureSpec]
) -> tuple[tuple[Reading, ...], ...]:
    """The readings without these measures of marked regions: the image that they are taken from may stay."""
    features = held.model.task.features
    return tuple(
        tuple(NOTHING if spec in measures else reading for spec, reading in zip(features, row, strict=True)) for row in readings
    )


def _without(snapshot: PatientSnapshot, specs: Sequence[FeatureSpec] | None) -> PatientSnapshot:
    """The snapshot without what these features read; None: without its record."""
    if specs is None:
        return replace(snapshot, values=())
    return replace(snapshot, values=tuple(value for value in snapshot.values if not any(belongs(spec, value) for spec in specs)))


def _share(one: FeatureSpec, other: FeatureSpec) -> bool:
    """Whether two features are read from the same values."""
    if one.code and one.code == other.code and (one.system == other.system or None in (one.system, other.system)):
        return True
    return bool(one.column) and one.column == other.column


def _most_used(held: HeldOut, full: Sequence[RiskResult]) -> list[tuple[str, list[FeatureSpec]]]:
    """The features with the largest mean reasons, in points. Features read from the same values go together."""
    specs = held.model.task.features
    reasons = [[r.points for r in one.reasons if r.part is Part.RECORD] for one in full]
    points = np.array([row for row in reasons if len(row) == len(specs)])  # (people with a risk, features)
    if not points.size:
        return []
    use = np.abs(points).mean(axis=0)
    groups: list[tuple[str, list[FeatureSpec]]] = []
    for at in np.argsort(-use, kind="stable").tolist():
        if len(groups) == MOST_FEATURES or use[at] <= 0:
            break
        if any(specs[at] in group for _, group in groups):
            continue
        together = [spec for spec in specs if spec is specs[at] or _share(spec, specs[at])]
        groups.append((", ".join(spec.label for spec in together), together))
    return groups


def _row(label: str, held: HeldOut, full: Sequence[RiskResult], changed: HeldOut) -> list[Any] | None:
    """One part taken away; None when fewer than ten people had it, whose figure would say nothing but who they are."""
    taken = np.flatnonzero([
        bool(before.images) != bool(after.images) or old != new
        for before, after, old, new in zip(held.snapshots, changed.snapshots, held.readings, changed.readings, strict=True)
    ])  # fmt: skip
    if len(taken) < LEAST_SHOWN:
        return None
    results, before = changed.take(taken).scored(), [full[at] for at in taken.tolist()]
    p, p_before = risks_of(results), risks_of(before)
    both = np.isfinite(p) & np.isfinite(p_before)
    y, persons = held.y[taken][both], held.persons[taken][both]
    kept = np.flatnonzero(both).tolist()
    n = len(kept)
    return [
        label, len(taken), auroc_cell(y, p_before[both], persons), auroc_cell(y, p[both], persons),
        difference_cell(y, p[both], p_before[both], persons), f"{int((~np.isfinite(p)).sum())} of {len(taken)}",
        f"{sum(abstains(before[at]) for at in kept)} of {n}", f"{sum(abstains(results[at]) for at in kept)} of {n}",
    ]  # fmt: skip
