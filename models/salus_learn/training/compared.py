"""The additive chair against other ways to fuse, fold by fold: fitted inside the fold, judged outside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from salus_learn.contracts import JUDGES
from salus_learn.explain.points import sigmoid
from salus_learn.features.columns import matrix
from salus_learn.rivals.early import fit_early
from salus_learn.rivals.evidence import Evidence, Fit
from salus_learn.rivals.joint import fit_joint
from salus_learn.rivals.mean import fit_mean
from salus_learn.rivals.part import chairs_part
from salus_learn.store.model import Margins, Model, judge_margins
from salus_learn.tabular.trees import choose_shape
from salus_learn.training.fit import Choices, out_of_fold
from salus_learn.training.material import Material

RIVALS: dict[str, Fit] = {"early": fit_early, "joint": fit_joint, "mean": fit_mean}
FEWEST_OF_EITHER = 6
HONEST_ONLY = (
    "The encoder was tuned: early, joint and mean could only be fitted on the few people who never taught it, "
    "while the additive chair's line and trees learnt from all."
)
TOO_FEW = f"In one fold fewer than {FEWEST_OF_EITHER} people with an image had, or lacked, the outcome: too few to teach the other ways."


class Rivalry:
    """Gathers the rivals' risks of people outside each fold, so that a fold's material need not be kept.

    `risks` and `alone`: rival or single judge -> (n,) of all cases in [0, 1], NaN where it is silent or was not asked.
    """

    def __init__(self, cases: int) -> None:
        self.risks = {name: np.full(cases, np.nan) for name in RIVALS}
        self.alone = {name: np.full(cases, np.nan) for name in JUDGES}
        self.folds = np.zeros(cases, dtype=int)
        self.remark = ""
        self.why_not = ""
        self.applies = True

    def judge(
        self, fold: int, material: Material, inside: np.ndarray, outside: np.ndarray, model: Model, seed: int
    ) -> None:
        """Fit every rival on `inside` and note its risks of `outside`; `model` was fitted on `inside` with this seed.

        Of a tuned encoder only people with honest image margins teach. Nothing is done for time to an event, or where
        the model reads only one part.
        """
        if (
            material.target.is_survival
            or material.prepared is None
            or model.head is None
            or model.line is None
        ):
            self.applies = False
            return
        taught = inside if material.honest is None else inside[material.honest[inside]]
        with_image = taught[material.prepared.present[taught]]
        if np.bincount(material.y[with_image], minlength=2).min() < FEWEST_OF_EITHER:
            self.why_not = TOO_FEW
            return
        self.remark = self.remark or (HONEST_ONLY if material.honest is not None else "")
        x = matrix(material.task, model.schema, material.readings)
        self.folds[outside] = fold
        inner = inner_margins(material, x, inside, model, seed)
        teaching = _evidence(material, x, inner, inside).take(np.flatnonzero(np.isin(inside, taught)))
        asked = judge_margins(model, x, material.prepared, outside)
        shown = _evidence(material, x, asked, outside)
        for name, fit in RIVALS.items():
            rival = fit(teaching, material.y[taught], material.persons[taught], seed)
            self.risks[name][outside] = _risks(rival.margins(shown))
        for name, margins in asked.by_judge.items():
            self.alone[name][outside] = _risks(margins)

    def part(self, material: Material, fused: np.ndarray) -> dict[str, Any] | None:
        """The report's part `chairs`; fused (n,) are the additive chair's risks of people outside, NaN where silent.

        None where there is nothing to compare: one part only, or time to an event. Only a note where people are too few.
        """
        if not self.applies:
            return None
        if self.why_not:
            return {"note": self.why_not}
        return chairs_part(material.y, material.persons, fused, self.risks, self.alone, folds=self.folds, remark=self.remark)


def compare(
    material: Material, folds: Sequence[tuple[np.ndarray, np.ndarray, Model]], fused: np.ndarray, *, seed: int
) -> dict[str, Any] | None:
    """The part `chairs` from folds (inside, outside, the model fitted inside with this seed) that share one material.

    With a tuned encoder every fold has a material of its own: use `Rivalry` there, one fold at a time.
    """
    rivalry = Rivalry(len(material.y))
    for fold, (inside, outside, model) in enumerate(folds):
        rivalry.judge(fold, material, inside, outside, model, seed)
    return rivalry.part(material, fused)


def inner_margins(material: Material, x: np.ndarray, inside: np.ndarray, model: Model, seed: int) -> Margins:
    """The judges' margins (len(inside),) of the people of a fold by judges who have not seen them, over their references.

    They are those that the model's own chair was fitted on: the same seed, and the choices the model was fitted with. x (n, d) of all cases.
    """
    assert model.line is not None
    shape = choose_shape(x[inside], material.target.take(inside), material.persons[inside], seed=seed)
    choices = Choices(shape, model.line.strength, model.head.strength if model.head else None)
    return out_of_fold(material, model, choices, x, inside, seed)


def _evidence(material: Material, x: np.ndarray, margins: Margins, index: np.ndarray) -> Evidence:
    """What the rivals may see of the cases `index`, of whom `margins` are."""
    assert material.prepared is not None
    apart = margins.apart(JUDGES, np.arange(len(index)))
    return Evidence(x[index], apart, material.prepared.pooled[index].reshape(len(index), -1))


def _risks(margins: np.ndarray) -> np.ndarray:
    return np.array([sigmoid(margin) for margin in margins.tolist()])
