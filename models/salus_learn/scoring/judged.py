"""A filled sheet and its cases as what a model report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.contracts import JUDGES, Case, RiskTask
from salus_learn.evaluation.judged import JudgedPeople, JudgedTask
from salus_learn.scoring.groups import groups_of
from salus_learn.scoring.judge import ArmSheet, target_of


def judged_people(
    task: RiskTask, cases: Sequence[Case], sheet: ArmSheet, *, origin: str, threshold: float | None = None,
    extra: dict[str, Any] | None = None, persons: np.ndarray | None = None,
) -> JudgedPeople:
    """Those whose outcome is known (at the horizon, where the task asks when), with subgroups from their record. `persons` (n,) where
    some ids are one person (as those who share an image); each id its own otherwise."""
    target = target_of(cases)
    y = target.at(task.outcome.horizon_days)
    known = np.flatnonzero(np.isfinite(y)).tolist()
    about = JudgedTask(
        task.id, task.title, task.who, task.use, task.not_for, task.outcome.label, task.outcome.horizon_days, origin, threshold,
        uncalibrated=JUDGES if target.is_survival else (), lost=len(cases) - len(known),
    )  # fmt: skip
    whose = np.array([case.snapshot.person for case in cases])
    if persons is not None:
        _, first, of = np.unique(persons, return_index=True, return_inverse=True)
        whose = whose[first][of]
    arms = [arm for arm, p in sheet.probabilities.items() if np.isfinite(p).any() or arm == "fused"]
    return JudgedPeople(
        task=about, keys=np.array([cases[at].snapshot.key for at in known]),
        persons=whose[known], y=y[known].astype(int),
        probabilities={arm: sheet.probabilities[arm][known] for arm in arms},
        flagged={arm: sheet.flagged[arm][known] for arm in arms},
        interval_low=sheet.interval[known, 0], interval_high=sheet.interval[known, 1], sets=sheet.sets[known],
        abstained=sheet.abstained[known], groups=groups_of(task, [cases[at] for at in known]), extra=extra or {},
        folds=sheet.folds[known],
    )  # fmt: skip
