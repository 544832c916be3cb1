"""What is measured beside the figures, fold by fold of the first repeat: other ways to fuse, hard conditions, variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from salus_learn.contracts import Case, PatientSnapshot
from salus_learn.imaging.embed import Report
from salus_learn.imaging.preview import augmentation_part
from salus_learn.imaging.tune import Pixels
from salus_learn.reporting.words import NOT_APPLICABLE
from salus_learn.store.model import Model
from salus_learn.stress.extras import measure
from salus_learn.stress.held_out import HeldOut, held_out
from salus_learn.training.ablation import without_variants
from salus_learn.training.compared import Rivalry
from salus_learn.training.enough import TUNED, more_people_part
from salus_learn.training.material import Material


@dataclass(slots=True)
class Further:
    """`before` is the material before any tuning; `pixels` its images, None with a frozen encoder. With `ablation` the
    first fold is tuned once more, without variants."""

    before: Material
    pixels: Pixels | None
    cases: Sequence[Case]
    seed: int
    ablation: bool
    rivalry: Rivalry
    extra: dict[str, Any] = field(default_factory=dict)
    variants: list[list[Any]] = field(default_factory=list)

    def judge(self, fold: int, model: Model, material: Material, inside: np.ndarray, outside: np.ndarray, report: Report) -> None:
        """Measure on the people outside one fold; `model` and its `material` were fitted on `inside` with this seed."""
        report(0.0, "other ways to fuse")
        self.rivalry.judge(fold, material, inside, outside, model, self.seed)
        if fold > 0:
            return
        snapshots = [case.snapshot for case in self.cases]
        people = held_out(model, snapshots, material.readings, material.prepared, material.target, material.persons, outside)
        self.extra.update(measure(people, seed=self.seed, report=report))
        self.extra["more_people"] = self._more_people(people, material, snapshots, inside, outside, report)
        if self.ablation and self.pixels is not None and model.head is not None and material.prepared is not None:
            varied = model.head.margins(material.prepared, outside)
            self.variants = without_variants(
                self.before, self.pixels, self.cases, inside, outside, varied, seed=self.seed, report=report
            )

    def _more_people(
        self, people: HeldOut, material: Material, snapshots: list[PatientSnapshot], inside: np.ndarray,
        outside: np.ndarray, report: Report,
    ) -> dict[str, Any]:  # fmt: skip
        if self.pixels is not None:
            return {"note": TUNED}
        return more_people_part(people, material, snapshots, inside, outside, seed=self.seed, report=report)

    def parts(self, fused: np.ndarray) -> dict[str, Any]:
        """The report's parts; fused (n,) are the first repeat's risks, NaN where silent."""
        pictures = augmentation_part(
            self.before.task.images, tuned=self.pixels is not None, measured=self.variants, seed=self.seed
        )
        compared = self.rivalry.part(self.before, fused)
        return self.extra | {
            "augmentation": pictures or {"state": NOT_APPLICABLE},
            "chairs": compared or {"state": NOT_APPLICABLE},
        }


def further(
    material: Material, pixels: Pixels | None, cases: Sequence[Case], *, seed: int, ablation: bool
) -> Further:
    """Nothing measured yet."""
    return Further(material, pixels, cases, seed, ablation, Rivalry(len(cases)))
