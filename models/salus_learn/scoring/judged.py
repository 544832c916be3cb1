"""A filled sheet and its cases as what a model report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.contracts import JUDGES, Case, FeatureSpec, RiskTask
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask
from salus_learn.features.readings import Reading, read_features
from salus_learn.scoring.judge import ArmSheet, target_of
from salus_learn.tasks.moments import asks_again, hours_of

MOST_GROUPS = 8
AGE_BANDS = (18, 40, 50, 60, 70, 80)


def judged_people(
    task: RiskTask, cases: Sequence[Case], sheet: ArmSheet, *, origin: str, threshold: float | None = None,
    extra: dict[str, Any] | None = None,
) -> JudgedPeople:
    """Those whose outcome is known (at the horizon, where the task asks when), with subgroups from their record."""
    target = target_of(cases)
    y = target.at(task.outcome.horizon_days)
    known = np.flatnonzero(np.isfinite(y)).tolist()
    about = JudgedTask(
        task.id, task.title, task.who, task.use, task.not_for, task.outcome.label, task.outcome.horizon_days, origin, threshold,
        uncalibrated=JUDGES if target.is_survival else (), lost=len(cases) - len(known),
    )  # fmt: skip
    arms = [arm for arm, p in sheet.probabilities.items() if np.isfinite(p).any() or arm == "fused"]
    return JudgedPeople(
        task=about, keys=np.array([cases[at].snapshot.key for at in known]),
        persons=np.array([cases[at].snapshot.person for at in known]), y=y[known].astype(int),
        probabilities={arm: sheet.probabilities[arm][known] for arm in arms},
        flagged={arm: sheet.flagged[arm][known] for arm in arms},
        interval_low=sheet.interval[known, 0], interval_high=sheet.interval[known, 1], sets=sheet.sets[known],
        abstained=sheet.abstained[known], groups=_groups(task, [cases[at] for at in known]), extra=extra or {},
    )  # fmt: skip


def _groups(task: RiskTask, cases: Sequence[Case]) -> dict[str, np.ndarray]:
    """Each category of few words, age in bands, the moment of the stay where there are several, the site, and which parts of
    the patient there were."""
    readings = [read_features(task, case.snapshot) for case in cases]
    found: dict[str, np.ndarray] = {}
    for position, spec in enumerate(task.features):
        words = np.array([_word(spec, row[position]) for row in readings])
        if 2 <= len(set(words.tolist()) - {""}) <= MOST_GROUPS:
            found[spec.label] = words
    hours = [hours_of(case.snapshot) for case in cases] if asks_again(task) else []
    if hours:
        found["time since the stay began"] = np.array(["" if one is None else f"{one:g} h" for one in hours])
    sites = np.array([case.snapshot.site for case in cases])
    if len(set(sites.tolist())) > 1:
        found["site"] = sites
    if task.images and task.features:
        pictured = np.array(["with image" if case.snapshot.images else "without image" for case in cases])
        if len(set(pictured.tolist())) > 1:
            found["image"] = pictured
    return found


def _word(spec: FeatureSpec, reading: Reading) -> str:
    """The group of one person by one feature; empty where it was not recorded or makes no groups."""
    if reading.value is None or spec.kind == "flags":
        return ""
    if spec.kind == "category":
        return str(reading.value)
    if spec.unit == "a" and "age" in spec.name:
        return _band(float(reading.value))
    return ""


def _band(age_years: float) -> str:
    """An age band, such as “60 to 69”."""
    place = int(np.searchsorted(AGE_BANDS, age_years, side="right"))
    if place == 0:
        return f"under {AGE_BANDS[0]}"
    if place == len(AGE_BANDS):
        return f"{AGE_BANDS[-1]} and over"
    return f"{AGE_BANDS[place - 1]} to {AGE_BANDS[place] - 1}"
