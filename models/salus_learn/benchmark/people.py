"""The people of a row as a peer sees them: those who teach it with their outcome, those it is asked about without.

A peer is never handed the outcome of somebody it is judged on, so it cannot look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from salus_learn.contracts import Case, RiskTask, SnapshotImage
from salus_learn.errors import TrainingError
from salus_learn.features.readings import Reading
from salus_learn.features.target import Target
from salus_learn.training.leakage import without_leaks
from salus_learn.training.train import prepare_material

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Asked:
    """n cases without outcomes: keys (n,) str, and of each case its readings (one per feature) and its images."""

    task: RiskTask
    keys: np.ndarray
    readings: Sequence[tuple[Reading, ...]]
    images: Sequence[tuple[SnapshotImage, ...]]

    def take(self, index: np.ndarray) -> Asked:
        """The same for some of the cases, index (k,)."""
        places = index.tolist()
        return Asked(self.task, self.keys[index], [self.readings[at] for at in places], [self.images[at] for at in places])


@dataclass(frozen=True, eq=False)
class Taught:
    """n training cases: what is asked of them, their outcomes, and persons (n,) ids by which inner folds are split."""

    asked: Asked
    target: Target
    persons: np.ndarray

    @property
    def task(self) -> RiskTask:
        """The task they are taught."""
        return self.asked.task

    def take(self, index: np.ndarray) -> Taught:
        """The same for some of the cases, index (k,)."""
        return Taught(self.asked.take(index), self.target.take(index), self.persons[index])

    def known(self) -> np.ndarray:
        """(n,) 1.0, 0.0 or NaN: the outcome at the horizon, where it is known."""
        return self.target.at(self.task.outcome.horizon_days)


@dataclass(frozen=True, eq=False)
class Everybody:
    """All n cases of a row with the outer fold (n,) in which our own model was asked about each."""

    taught: Taught
    folds: np.ndarray

    def splits(self) -> list[Split]:
        """Inside and outside of every outer fold. Raises TrainingError should a person stand on both sides."""
        found = []
        for fold in range(int(self.folds.max()) + 1):
            inside, outside = np.flatnonzero(self.folds != fold), np.flatnonzero(self.folds == fold)
            if np.isin(self.taught.persons[outside], self.taught.persons[inside]).any():
                raise TrainingError(f"Fold {fold + 1}: a person stands among those who teach and those who are asked about.")
            found.append((inside, outside))
        return found


def everybody(task: RiskTask, cases: Sequence[Case], fold_of: Mapping[str, int]) -> Everybody:
    """The cases with the folds of our first repeat (fold by key). People who share an image are one, as in our training."""
    material, _ = without_leaks(prepare_material(task, cases, embedded=False), cases)
    keys = np.array([case.snapshot.key for case in cases])
    lost = [key for key in keys.tolist() if key not in fold_of]
    if lost:
        raise TrainingError(f"The case “{lost[0]}” stands in no fold of our training.")
    asked = Asked(task, keys, material.readings, [case.snapshot.images for case in cases])
    return Everybody(Taught(asked, material.target, material.persons), np.array([fold_of[key] for key in keys.tolist()]))


def inner_splits(taught: Taught, folds: int, *, seed: int) -> list[Split]:
    """Inner folds by person, stratified by outcome, without those in which a side lacks an outcome.

    Raises TrainingError when there is none."""
    y, found = taught.target.y, []
    split = StratifiedGroupKFold(int(max(2, min(folds, np.bincount(y, minlength=2).min()))), shuffle=True, random_state=seed)
    for inside, outside in split.split(y, y, taught.persons):
        if len(np.unique(y[inside])) == 2 and len(np.unique(y[outside])) == 2:
            found.append((inside, outside))
    if not found:
        raise TrainingError("The training people cannot be split by person with both outcomes on both sides.")
    return found
